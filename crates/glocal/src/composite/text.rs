//! The text form of composites: TOML, an entry a table, first match first.

mod fields;
mod rule;
mod selector;

use crate::composite::{Composite, Preset, PresetParameters};
use crate::error::{RequestError, RequestErrorKind};
use fields::{Fields, expected};

impl Composite {
    /// Reads the text form, as the [module](crate::composite) shows it.
    ///
    /// # Errors
    /// When the text is no TOML, an entry is incomplete, or a name or key is unknown.
    pub fn from_toml(text: &str) -> Result<Self, RequestError> {
        let table =
            text.parse().map_err(|cause: toml::de::Error| RequestErrorKind::Text { message: cause.to_string() })?;
        composite(table)
    }
}

fn composite(table: toml::Table) -> Result<Composite, RequestError> {
    let fields = Fields::new(table);
    let mut composite = Composite::new(fields.string("name")?.unwrap_or_else(|| "custom".to_owned()));
    let wrong = || expected("rules", "a list of entries, each a table headed [[rules]]");
    let entries = match fields.take("rules") {
        None => Vec::new(),
        Some(toml::Value::Array(entries)) => entries,
        Some(_) => return Err(wrong()),
    };
    for entry in entries {
        let toml::Value::Table(entry) = entry else { return Err(wrong()) };
        let entry = Fields::new(entry);
        let (rule, selector) = (rule::rule(&entry)?, selector::selector(&entry)?);
        entry.finish("key of this rule and its selector")?;
        composite = composite.with_shared(selector, rule);
    }
    let extended = fields.take("extends").map(extended).transpose()?;
    fields.finish("key of a composite")?;
    Ok(match extended {
        Some(extended) => composite.followed_by(extended),
        None => composite,
    })
}

/// What a composite is put in front of: a preset by its name, with parameters behind a colon or in a table, or the text
/// or the table of another composite.
fn extended(value: toml::Value) -> Result<Composite, RequestError> {
    match value {
        toml::Value::String(text) => text.parse(),
        toml::Value::Table(mut table) => match table.remove("preset") {
            None => composite(table),
            Some(toml::Value::String(name)) => {
                let mut parameters = PresetParameters::default();
                for (key, value) in &table {
                    parameters.set(key, &value.to_string())?;
                }
                name.parse::<Preset>()?.composite(&parameters)
            }
            Some(_) => Err(expected("preset", "a text in quotes")),
        },
        _ => Err(expected("extends", "the name of a preset in quotes, or a table")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_order_before_the_preset() {
        let text = r#"
            name = "mine"
            extends = "epsilon-plus"
            [[rules]]
            layer = "features.*"
            kind = "convolution"
            first = true
            rule = "z-box"
            low = [-1, -2.5]
            high = 3
            [[rules]]
            class = "linear"
            rule = "alpha-beta"
            alpha = 3
            beta = 2
            zero_bias = true
            epsilon = 1e-3
            clip = true
        "#;
        let composite = Composite::from_toml(text).unwrap();
        let expected = "first ((layer features.*) and (kind convolution)) -> ZBox(low=[-1.0, -2.5],high=3,epsilon=1e-6)\n\
                        class linear -> AlphaBeta(alpha=3,beta=2,epsilon=1e-3,clip,zero_bias)\n";
        let preset: Composite = "epsilon-plus".parse().unwrap();
        assert_eq!(composite.describe(), format!("{expected}{}", preset.describe()));
        assert_eq!(composite.name(), "mine");
        let own: Vec<bool> = composite.entries().iter().take(3).map(|entry| entry.of_preset).collect();
        assert_eq!(own, [false, false, true]);
    }

    #[test]
    fn selectors_combine() {
        let cases = [
            ("", "any"),
            ("layer = ['a', 'b.*']", "(layer a) or (layer b.*)"),
            ("layer = ['a']", "layer a"),
            ("kind = ['dense', 'convolution']\nlast = true", "last ((kind dense) or (kind convolution))"),
            ("class = 'linear'\nnth = 2\nfirst = false", "number 2 of (class linear)"),
            ("class = 'linear'\nexcept = { layer = 'fc' }", "(class linear) and (not (layer fc))"),
            (
                "except = [{ layer = 'a' }, { kind = 'relu', first = true }]",
                "(not (layer a)) and (not (first (kind relu)))",
            ),
            (
                "except = { class = 'linear', except = { kind = 'dense' } }",
                "not ((class linear) and (not (kind dense)))",
            ),
        ];
        for (selector, expected) in cases {
            let composite = Composite::from_toml(&format!("[[rules]]\nrule = 'pass'\n{selector}")).unwrap();
            assert_eq!(composite.describe(), format!("{expected} -> Pass"), "{selector}");
        }
    }

    #[test]
    fn composites_extend_presets_and_each_other() {
        let boxed: Composite = "epsilon-gamma-box:low=-3,high=2.5,zero_bias=true".parse().unwrap();
        let flat = "any -> Flat(epsilon=1e-6)\n";
        let rules = "rules = [{ rule = 'flat' }]";
        for extends in [
            "extends = 'epsilon-gamma-box:low=-3,high=2.5,zero_bias'".to_owned(),
            "extends = { preset = 'epsilon-gamma-box', low = -3, high = 2.5, zero_bias = true }".to_owned(),
            "extends = { extends = 'epsilon-gamma-box:low=-3,high=2.5,zero_bias' }".to_owned(),
            "extends = \"extends = 'epsilon-gamma-box:low=-3,high=2.5,zero_bias'\"".to_owned(),
        ] {
            let composite: Composite = format!("{rules}\n{extends}").parse().unwrap();
            assert_eq!(composite.describe(), format!("{flat}{}", boxed.describe()), "{extends}");
        }
        let twice = "rules = [{ rule = 'pass' }]\n[extends]\nrules = [{ rule = 'flat' }]\nextends = 'gradient'";
        assert_eq!(Composite::from_toml(twice).unwrap().describe(), format!("any -> Pass\n{flat}any -> Gradient"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let entry = |entry: &str| format!("name = \"x\"\n[[rules]]\n{entry}");
        let pass = |selector: &str| format!("[[rules]]\nrule = 'pass'\n{selector}");
        let cases = [
            ("name = ".to_owned(), "TOML"),
            (entry("rule = \"epsilom\""), "no rule is called \"epsilom\"; the nearest are epsilon"),
            (entry("kind = \"dense\""), "rule must be given in every entry"),
            (entry("rule = 1"), "rule must be a text in quotes"),
            (pass("kind = \"conv\""), "no op kind is called \"conv\""),
            (pass("kind = ['relu', 'conv']"), "no op kind is called \"conv\""),
            (pass("class = \"linea\""), "nearest are linear"),
            (pass("layer = []"), "layer must be a text in quotes, or a list"),
            (pass("epsilon = 1.0"), "no key of this rule and its selector is called \"epsilon\"; the nearest are"),
            (pass("layr = 'fc'"), "no key of this rule and its selector is called \"layr\"; the nearest are layer"),
            (pass("nth = -1"), "nth must be a whole number, 0 for the first"),
            (pass("nth = true"), "nth must be a whole number"),
            (pass("nth = 0\nlast = true"), "first, last and nth must be at most one of them"),
            (pass("except = 'fc'"), "except must be a selector, as in { layer = \"features.0\" }"),
            (pass("except = {}"), "except must be a selector"),
            (pass("except = { rule = 'flat' }"), "no key of a selector is called \"rule\""),
            (entry("rule = \"epsilon\"\nepsilon = 0"), "epsilon must be a positive number"),
            (entry("rule = \"epsilon\"\nepsilon = inf"), "epsilon must be a number"),
            (entry("rule = \"epsilon\"\nzero_bias = 1"), "zero_bias must be true or false"),
            (entry("rule = \"alpha-beta\"\nalpha = 2\nbeta = 2"), "alpha and beta must be"),
            (entry("rule = \"z-box\"\nlow = -1"), "high must be a number, or a list"),
            (entry("rule = \"z-box\"\nlow = 1\nhigh = 3"), "low and high must be low ≤ 0 ≤ high"),
            (entry("rule = \"z-box\"\nlow = 3\nhigh = -3"), "low and high must be low ≤ 0 ≤ high"),
            (entry("rule = \"z-box\"\nlow = [-1, 0]\nhigh = [1, 0]"), "low and high must be low ≤ 0 ≤ high"),
            (entry("rule = \"z-box\"\nlow = [-1, -1]\nhigh = [1, 1, 1]"), "low and high must be low ≤ 0 ≤ high"),
            ("name = \"x\"\nextends = \"epsilon-minus\"".to_owned(), "no composite is called \"epsilon-minus\""),
            ("extends = 3".to_owned(), "extends must be the name of a preset in quotes"),
            ("extends = { preset = 3 }".to_owned(), "preset must be a text"),
            ("extends = { preset = 'epsilon-plus', gama = 1 }".to_owned(), "nearest are gamma"),
            ("extends = { preset = 'epsilon-plus', gamma = 'x' }".to_owned(), "gamma must be a number"),
            ("extends = { rulez = [] }".to_owned(), "no key of a composite is called \"rulez\"; the nearest are rules"),
            ("name = \"x\"\nrule = []".to_owned(), "no key of a composite is called \"rule\"; the nearest are rules"),
            ("rules = 3".to_owned(), "rules must be a list of entries"),
            ("rules = [3]".to_owned(), "rules must be a list of entries"),
        ];
        for (text, expected) in cases {
            let error = Composite::from_toml(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
