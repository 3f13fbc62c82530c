//! OpenMetrics text, as far as figures are read from it: names, labels and values.

/// What every whole page ends with.
const END: &str = "# EOF";

/// A metrics page.
#[derive(Debug, Default)]
pub struct Page(Vec<Sample>);

/// One line of it.
#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

// === impl Page ===

impl Page {
    /// Reads a whole page.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(lines) = text.trim_end_matches('\n').strip_suffix(END) else {
            return Err(format!("the page does not end with {END}, so it is no OpenMetrics or cut short"));
        };
        let samples = lines.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
        let samples = samples.map(|(index, line)| {
            Sample::parse(line)
                .ok_or_else(|| format!("line {} of the page is no OpenMetrics: {line:?}", index + 1))
        });
        samples.collect::<Result<_, _>>().map(Self)
    }

    /// The value of a name, on the first line that has these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.0.iter().find(|sample| sample.is(name, labels)).map(|sample| sample.value)
    }

    /// The values of a name on the lines that have these labels, each with its value of one further label.
    pub fn values_by(&self, label: &str, name: &str, labels: &[(&str, &str)]) -> Vec<(&str, f64)> {
        let samples = self.0.iter().filter(|sample| sample.is(name, labels));
        samples.filter_map(|sample| Some((sample.label(label)?, sample.value))).collect()
    }
}

// === impl Sample ===

impl Sample {
    /// `name{label="value",…} value`; a time and an example may follow and are of no interest here.
    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_at(line.find(['{', ' '])?);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        let value = rest.strip_prefix(' ')?.split(' ').next()?.parse().ok()?;
        (!name.is_empty()).then(|| Self { name: name.to_owned(), labels, value })
    }

    fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name && labels.iter().all(|(label, value)| self.label(label) == Some(*value))
    }

    fn label(&self, wanted: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == wanted).map(|(_, value)| value.as_str())
    }
}

/// Labels up to the closing brace, and what comes after it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    while !rest.starts_with('}') {
        let (label, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.push((label.to_owned(), value));
        rest = match after.strip_prefix(',') {
            Some(after) => after,
            None if after.starts_with('}') => after,
            None => return None,
        };
    }
    Some((labels, &rest[1..]))
}

/// Text up to the closing quote, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                letter => value.push(letter),
            },
            letter => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gives_its_values_by_name_and_label() {
        let page = Page::parse(
            "# HELP up Whether it is up\n# TYPE up gauge\nup 1\n\
             calls_total{kind=\"live\",reason=\"all_open\"} 3\n\
             calls_total{kind=\"live\",reason=\"no_time\"} 4.5 1520879607.789 # {trace=\"x\"} 1.0\n\
             calls_total{kind=\"verify\",reason=\"no_time\"} 5e3\n# EOF\n",
        )
        .unwrap();
        assert_eq!(page.value("up", &[]), Some(1.0));
        assert_eq!(page.value("calls_total", &[("reason", "no_time"), ("kind", "verify")]), Some(5_000.0));
        assert_eq!(page.value("calls_total", &[("kind", "other")]), None);
        assert_eq!(page.value("calls", &[]), None);
        let live = page.values_by("reason", "calls_total", &[("kind", "live")]);
        assert_eq!(live, [("all_open", 3.0), ("no_time", 4.5)]);
    }

    #[test]
    fn labels_may_hold_anything() {
        let sample = Sample::parse(r#"a{b="quote \" slash \\ line \n brace } = , ü",c=""} -0.5"#).unwrap();
        assert_eq!(sample.label("b"), Some("quote \" slash \\ line \n brace } = , ü"));
        assert_eq!((sample.label("c"), sample.value), (Some(""), -0.5));
        assert_eq!(Sample::parse("a{} +Inf").unwrap().value, f64::INFINITY);
        assert!(Sample::parse("a NaN").unwrap().value.is_nan());
    }

    #[test]
    fn what_is_no_page_is_told_so_and_never_a_panic() {
        for line in [
            "",
            " ",
            "a",
            "a ",
            "a b",
            " 1",
            "{} 1",
            "a{",
            "a{}",
            "a{}1",
            "a{b} 1",
            "a{b=} 1",
            "a{b=\"} 1",
            "a{b=\"c\" 1",
            "a{b=\"c\"d=\"e\"} 1",
            "a{b=\"c\\",
            "a{b=\"\\\"} 1",
            "<html>",
        ] {
            let told = Page::parse(&format!("up 1\n{line}\n# EOF\n")).unwrap_err();
            assert!(told.starts_with("line 2 of the page"), "{line:?}: {told}");
        }
        for cut in ["", "up 1\n", "<html></html>", "up 1\n# EO"] {
            assert!(Page::parse(cut).unwrap_err().contains("cut short"), "{cut:?}");
        }
        assert_eq!(Page::parse("# EOF\n").unwrap().0, []);
    }
}
