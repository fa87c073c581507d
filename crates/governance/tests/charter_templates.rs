//! Templates, filled with made-up cards and keys: they parse, hold, read back, and stay refused while a place is open.

mod support;

use governance::charter::{self, Code, Template};
use support::{answers, cards, filled};

#[test]
fn every_template_holds_once_its_places_are_filled() {
    for template in Template::ALL {
        let text = filled(*template, "live");
        let reading = charter::read(&text);
        let refusing: Vec<_> = reading.faults.iter().filter(|fault| fault.refuses()).collect();
        match template {
            // One company alone: its logs and governors are too few for real money.
            Template::SoloTeam => assert!(!refusing.is_empty()),
            Template::ThreeCompanies | Template::Bridge => {
                assert_eq!(refusing, Vec::<&charter::Fault>::new(), "{}", template.word());
            }
        }
        let test = charter::read(&filled(*template, "test"));
        assert!(test.holds(), "{}: {:#?}", template.word(), test.faults);
    }
}

#[test]
fn what_a_template_says_reads_back_from_canonical_text() {
    for template in Template::ALL {
        let charter = charter::parse(&filled(*template, "test")).unwrap();
        let text = charter::to_toml(&charter);
        assert_eq!(charter::parse(&text), Ok(charter.clone()), "{text}");
        assert_eq!(charter::to_toml(&charter::parse(&text).unwrap()), text);
        assert_eq!(charter::diff(&charter, &charter), []);
        assert!(charter::review(&charter).len() > 8);
    }
}

#[test]
fn an_open_place_is_refused_at_its_line() {
    let template = Template::ThreeCompanies;
    let mut some = answers(template, "test");
    some.remove("ssh:chair");
    let expires = model::time::Timestamp(1_830_297_600_000);
    let filled = template.fill(&cards(10), &some, expires).unwrap();
    assert_eq!(filled.open, ["operator:11", "card:11", "ssh:chair"]);
    let faults = charter::parse(&filled.text).unwrap_err();
    let open: Vec<_> = faults.iter().filter(|f| f.code == Code::Placeholder).collect();
    assert_eq!(open.len(), 3, "{faults:#?}");
    for fault in open {
        let line = filled.text.lines().nth(fault.at.unwrap().line - 1).unwrap();
        assert!(line.contains("{{"), "{line}");
    }
}

#[test]
fn an_answer_cannot_write_another_key() {
    let template = Template::SoloTeam;
    let expires = model::time::Timestamp(1_830_297_600_000);
    let mut some = answers(template, "test");
    some.insert("vault".into(), "x\"\nthreshold = 1 #\\".replace('\n', " "));
    let filled = template.fill(&cards(3), &some, expires).unwrap();
    let charter = charter::parse(&filled.text).unwrap();
    assert_eq!(charter.name, "x\" threshold = 1 #\\");
    some.insert("vault".into(), "x\nthreshold = 1".into());
    assert!(template.fill(&cards(3), &some, expires).is_err());
    some.insert("vault".into(), "{{card:1}}".into());
    assert!(template.fill(&cards(3), &some, expires).is_err());
    some.insert("vault".into(), "x".into());
    some.insert("threshold".into(), "1".into());
    assert!(template.fill(&cards(3), &some, expires).is_err());
    assert!(template.fill(&cards(4), &answers(template, "test"), expires).is_err());
}
