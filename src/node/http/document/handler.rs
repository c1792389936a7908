//! A handler describes its call: each argument what it takes, the answer what it gives.

use core::future::Future;

use super::call::Call;

/// Something that a handler takes.
pub(in crate::node::http) trait Takes {
    fn describe(call: &mut Call);
}

/// Something that a handler answers.
pub(in crate::node::http) trait Answers {
    fn describe(call: &mut Call);
}

/// A handler of arguments `A`.
pub(in crate::node::http) trait Documented<A> {
    fn describe(call: &mut Call);
}

macro_rules! handlers {
    ($(($($argument:ident),*))+) => {
        $(
            impl<F, R, $($argument),*> Documented<($($argument,)*)> for F
            where
                F: Fn($($argument),*) -> R,
                R: Future,
                R::Output: Answers,
                $($argument: Takes,)*
            {
                fn describe(call: &mut Call) {
                    $($argument::describe(call);)*
                    R::Output::describe(call);
                }
            }
        )+
    };
}

handlers! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, G) }
