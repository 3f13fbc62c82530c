//! The page in the text format that Prometheus had before OpenMetrics, for what reads only that: `promtool check metrics`,
//! and agents of other systems.
//!
//! The samples are the same. What differs is what is said of them: a counter's family has its samples' name, `_total`
//! included, and the page has no end mark.

/// What a family's name is put behind.
const HELP: &str = "# HELP ";
const TYPE: &str = "# TYPE ";
/// What only OpenMetrics has.
const END: &str = "# EOF";

/// Translates a page of OpenMetrics text, as it is written here: for each family its help, its type, then its samples.
pub(crate) fn classic(page: &str) -> String {
    let mut translated = String::with_capacity(page.len());
    let mut help = None;
    for line in page.lines().filter(|line| *line != END) {
        if let Some(rest) = line.strip_prefix(HELP) {
            // Whether its name gets an ending is known with its type.
            help = rest.split_once(' ');
            continue;
        }
        if let Some((name, kind)) = line.strip_prefix(TYPE).and_then(|rest| rest.split_once(' ')) {
            let ending = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take() {
                translated.extend([HELP, name, ending, " ", help, "\n"]);
            }
            translated.extend([TYPE, name, ending, " ", kind, "\n"]);
            continue;
        }
        translated.extend([line, "\n"]);
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counters_family_is_named_like_its_samples_and_all_else_stays() {
        let page = "# HELP calls Calls that ended\n# TYPE calls counter\ncalls_total{code=\"OK\"} 2\n\
                    # HELP age_seconds Its age\n# TYPE age_seconds gauge\nage_seconds 0.5\n# EOF\n";
        let wanted = "# HELP calls_total Calls that ended\n# TYPE calls_total counter\ncalls_total{code=\"OK\"} 2\n\
                      # HELP age_seconds Its age\n# TYPE age_seconds gauge\nage_seconds 0.5\n";
        assert_eq!(classic(page), wanted);
        assert_eq!(classic("# EOF\n"), "");
    }
}
