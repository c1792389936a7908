//! The node's own few pages: plain HTML without scripts, readable at any size and by any reader.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::{HttpResponse, HttpResponseBuilder};

/// Nothing is loaded, run or framed. `form-action` is not named: browsers would apply it to the redirect
/// after sign-in too.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1.125rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}\
label,input,button{font:inherit;display:block}\
input,button{margin:.5rem 0 1rem;padding:.5rem .75rem}\
input{width:100%;box-sizing:border-box}\
code{overflow-wrap:anywhere;user-select:all}";

/// A page with a title, and content that is HTML already.
pub(super) fn page(status: StatusCode, title: &str, content: &str) -> HttpResponse {
    let title = escaped(title);
    HttpResponseBuilder::new(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title} - Conclave</title>\n<style>{STYLE}</style>\n</head>\n\
             <body>\n<main>\n<h1>{title}</h1>\n{content}</main>\n</body>\n</html>\n"
        ))
}

/// Text as HTML, also inside of a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let escape = |character| match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        other => String::from(other),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(escaped("<b a=\"'&'\">é</b>"), "&lt;b a=&quot;&#39;&amp;&#39;&quot;&gt;é&lt;/b&gt;");
    }
}
