//! The report as a page: one file, with its style and its plots in it, that loads nothing and runs nothing.

use core::time::Duration;

use super::plot::{Line, Scale, Shade, TimePlot, Width, escaped, histogram};
use super::{Cost, Report, Second, Timing, table};
use crate::cli::load::words::{bytes, duration, number_of, rate, real, thousands};

/// The page's style.
const STYLE: &str = include_str!("page.css");

pub(super) fn of(report: &Report) -> String {
    let title = format!("Conclave under load: {}", number_of(report.plan.clients, "client"));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"content-security-policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}{}{}{}{}{}{}</main>\n</body>\n</html>\n",
        top(report),
        tiles(report),
        plots(report),
        checks(report),
        timings(report),
        costs(report),
        foot(report),
    )
}

fn top(report: &Report) -> String {
    let plan = &report.plan;
    let notes = each(&report.notes, |note| format!("<p>{}</p>", escaped(note)));
    let notes = if notes.is_empty() { notes } else { format!("<div class=\"notes\">{notes}</div>\n") };
    format!(
        "<header><h1>Conclave under load</h1><p class=\"soft\">{program} · {machine}</p></header>\n\
         <p class=\"what\">{clients} in {rooms} sent {rate} messages a second for {seconds} s \
         to <code>{url}</code>. Every message was sealed by its sender for each receiver, and opened by each.</p>\n\
         <p class=\"verdict {class}\">{verdict}</p>\n{notes}",
        program = escaped(&report.program),
        machine = escaped(&machine(report)),
        clients = number_of(plan.clients, "client"),
        rooms = number_of(report.rooms, "room"),
        rate = rate(plan.rate),
        seconds = plan.seconds,
        url = escaped(&plan.url),
        class = match report.checks.are_clean() {
            true if report.passed => "good",
            true if report.interrupted_after_seconds.is_some() => "open",
            _ => "bad",
        },
        verdict = escaped(&table::verdict(report)),
    )
}

fn machine(report: &Report) -> String {
    let machine = &report.machine;
    format!("{} × {}, {}", machine.processors, machine.processor, bytes(machine.memory_bytes))
}

fn tiles(report: &Report) -> String {
    let timing = &report.latency;
    let of_node = |shown: fn(&Cost) -> String| report.cost.node.as_ref().map_or("–".to_owned(), shown);
    let tiles = [
        (rate(report.throughput.delivered_per_second), "deliveries a second"),
        (rate(report.throughput.sent_per_second), "messages a second"),
        (micros(timing.p50_us), "p50, due to decrypted"),
        (micros(timing.p99_us), "p99, due to decrypted"),
        (of_node(|node| format!("{} %", node.cpu_percent)), "node, of a processor"),
        (of_node(|node| bytes(node.bytes_per_connection)), "node, memory a connection"),
    ];
    let tiles = tiles.map(|(value, name)| format!("<div class=\"tile\"><b>{value}</b><span>{name}</span></div>"));
    format!("<section class=\"tiles\">{}</section>\n", tiles.join("\n"))
}

fn plots(report: &Report) -> String {
    let over_time = |title, written, (scale, width), lines| {
        let plot = TimePlot { title, written, scale, width, lines, shades: shades(report) };
        card(title, &legend(&plot.lines), &plot.svg())
    };
    let line = |name, class, value: &dyn Fn(&Second) -> Option<f64>| Line {
        name,
        class,
        values: report.seconds.iter().map(value).collect(),
    };
    // Of a second in which nothing arrived there is no percentile.
    let timed = |us: u64| (us > 0).then(|| real(us));
    let flow = over_time(
        "Messages and deliveries, a second",
        rate,
        (Scale::Linear, Width::Whole),
        vec![
            line("delivered", "blue", &|second| Some(real(second.delivered))),
            line("sent", "teal", &|second| Some(real(second.sent))),
        ],
    );
    let latency = over_time(
        "From due to decrypted, by second",
        microseconds,
        (Scale::Logarithmic, Width::Whole),
        vec![
            line("max", "grey", &|second| timed(second.max_us)),
            line("p99", "orange", &|second| timed(second.p99_us)),
            line("p90", "violet", &|second| timed(second.p90_us)),
            line("p50", "blue", &|second| timed(second.p50_us)),
        ],
    );
    let title = "From due to decrypted, all deliveries after the warm-up";
    let histogram = card(title, "", &histogram(title, &report.latency));
    let cpu = over_time(
        "Processor time, in percent of one",
        |value| format!("{} %", rate(value)),
        (Scale::Linear, Width::Half),
        vec![
            line("load", "teal", &|second| Some(real(second.load_cpu_percent))),
            line("node", "blue", &|second| second.node_cpu_percent.map(real)),
        ],
    );
    let memory = over_time(
        "Memory",
        mebibytes,
        (Scale::Linear, Width::Half),
        vec![
            line("load", "teal", &|second| Some(real(second.load_bytes) / MEBIBYTE)),
            line("node", "blue", &|second| Some(real(second.node_bytes?) / MEBIBYTE)),
        ],
    );
    format!("{flow}{latency}{histogram}<div class=\"pair\">{cpu}{memory}</div>\n")
}

const MEBIBYTE: f64 = 1_048_576.0;

fn mebibytes(value: f64) -> String {
    format!("{} MiB", rate(value))
}

fn microseconds(value: f64) -> String {
    duration(Duration::try_from_secs_f64(value / 1e6).unwrap_or_default())
}

/// Warm-up and drain, of which the figures do not speak.
fn shades(report: &Report) -> Vec<Shade> {
    let index = |seconds: u64| usize::try_from(seconds).unwrap_or(usize::MAX);
    let sent = index(report.interrupted_after_seconds.unwrap_or_else(|| report.plan.sending().as_secs()));
    let warm = index(report.plan.warm_up().as_secs()).min(sent);
    vec![
        Shade { name: "warm-up", seconds: 0..warm },
        Shade { name: "drain", seconds: sent..report.seconds.len().max(sent) },
    ]
}

/// The names of the lines that have a value, in their colours.
fn legend(lines: &[Line]) -> String {
    let shown = lines.iter().filter(|line| line.values.iter().any(Option::is_some));
    each(shown, |line| format!("<span><i class=\"{}\"></i>{}</span>", line.class, line.name))
}

fn card(title: &str, legend: &str, body: &str) -> String {
    format!(
        "<section class=\"card\"><div class=\"top\"><h2>{title}</h2><div class=\"legend\">{legend}</div></div>\n\
         {body}</section>\n"
    )
}

fn checks(report: &Report) -> String {
    let checks = report.checks;
    let rows = checks.faults().map(|(name, found)| {
        let is_clean = found == 0;
        let (class, verdict) = if is_clean { ("good-text", "none") } else { ("bad-text", "found") };
        let row = if is_clean { "" } else { " class=\"bad\"" };
        format!(
            "<tr{row}><td><b>{name}</b></td><td class=\"soft\">{}</td><td class=\"number\">{}</td>\
             <td class=\"{class}\">{verdict}</td></tr>\n",
            meaning(name),
            thousands(found),
        )
    });
    let summary = format!(
        "<p class=\"soft\">{} messages sent, {} deliveries due, {} made; {} messages refused by the client.</p>\n",
        thousands(checks.sent),
        thousands(checks.due),
        thousands(checks.delivered),
        thousands(checks.refused),
    );
    let head =
        "<thead><tr><th>check</th><th>what would be counted</th><th class=\"number\">count</th><th></th></tr></thead>";
    card("What became of every message", "", &format!("{summary}<table>{head}\n{}</table>\n", rows.concat()))
}

/// What a check counts.
fn meaning(check: &str) -> &'static str {
    match check {
        "lost" => "a delivery that was due and had not been made when the run ended",
        "repeated" => "a delivery that was made once more, whether or not the client let it through",
        "misordered" => "a delivery that came after a later message of the same sender in the same room",
        "undecryptable" => "an envelope that did not open",
        "invented" => "a message that nobody had sent, or that was altered",
        _ => "",
    }
}

fn timings(report: &Report) -> String {
    let row = |name: &str, timing: &Timing| {
        let mean = [("mean", timing.mean_us)];
        let cells = mean.into_iter().chain(timing.percentiles());
        let cells = each(cells, |(_, us)| format!("<td class=\"number\">{}</td>", micros(us)));
        format!("<tr><td>{name}</td><td class=\"number\">{}</td>{cells}</tr>\n", thousands(timing.count))
    };
    let names = ["count", "mean"].into_iter().chain(report.latency.percentiles().map(|(name, _)| name));
    let head = each(names, |name| format!("<th class=\"number\">{name}</th>"));
    let body = format!(
        "<table><thead><tr><th></th>{head}</tr></thead>\n{}{}</table>\n",
        row("from due to decrypted", &report.latency),
        row("of that, until the load handed it to its client", &report.delay),
    );
    card("How long it took", "", &body)
}

fn costs(report: &Report) -> String {
    let row = |name: &str, cost: &Cost| {
        let delivery = cost.cpu_us_per_delivery.map_or("–".to_owned(), micros);
        let cells = [
            format!("{} %", cost.cpu_percent),
            delivery,
            bytes(cost.bytes_before),
            bytes(cost.bytes_connected),
            bytes(cost.bytes_max),
            bytes(cost.bytes_per_connection),
        ];
        let cells = cells.map(|cell| format!("<td class=\"number\">{cell}</td>"));
        format!("<tr><td>{name}</td>{}</tr>\n", cells.concat())
    };
    let names = ["processor", "a delivery", "memory before", "all connected", "at most", "a connection"];
    let head = names.map(|name| format!("<th class=\"number\">{name}</th>")).concat();
    let node = report.cost.node.as_ref().map(|node| row("node", node)).unwrap_or_default();
    let body =
        format!("<table><thead><tr><th></th>{head}</tr></thead>\n{}{node}</table>\n", row("load", &report.cost.load));
    card("What it cost", "", &body)
}

/// What is looked up and not read: the node's counters, and the run's parameters.
fn foot(report: &Report) -> String {
    let plan = &report.plan;
    let rows = each(&report.node_counters, |(name, grown)| {
        format!("<tr><td><code>{}</code></td><td class=\"number\">{}</td></tr>\n", escaped(name), rate(*grown))
    });
    let counters = if rows.is_empty() {
        String::new()
    } else {
        format!(
            "<details class=\"card\"><summary>What the node counted meanwhile</summary>\n<table>{rows}</table></details>\n"
        )
    };
    let command = format!(
        "conclave load --url {} --clients {} --room-size {} --rate {} --seconds {} --warm-up {} --drain {} --bytes {} \
         --processes {} --seed {} --report DIR",
        plan.url,
        plan.clients,
        plan.room_size,
        plan.rate,
        plan.seconds,
        plan.warm_up_seconds,
        plan.drain_seconds,
        plan.text_bytes,
        plan.processes,
        plan.seed,
    );
    format!(
        "{counters}<section class=\"card\"><div class=\"top\"><h2>Again</h2></div><p><code>{}</code></p>\
         <p class=\"soft\">All figures, second by second, are in <code>report.json</code> beside this page.</p></section>\n",
        escaped(&command),
    )
}

fn micros(us: u64) -> String {
    duration(Duration::from_micros(us))
}

/// What is written of each, one after the other.
fn each<T>(things: impl IntoIterator<Item = T>, written: impl Fn(T) -> String) -> String {
    things.into_iter().map(written).collect::<Vec<_>>().concat()
}
