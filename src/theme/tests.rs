use std::fs;

use ratatui::style::{Color, Modifier, Style};
use strum::IntoEnumIterator;

use super::*;
use crate::domain::appearance::ColourChoice;
use crate::domain::problem::TextFile;
use crate::domain::state::StateKind;

/// Least contrast of text against its ground, WCAG 2 level AA.
const READABLE: f64 = 4.5;
/// Least distance in OKLab at which two colours of text are told apart side by side.
const APART: f64 = 0.05;

fn theme(which: Builtin, level: Level) -> Theme {
    Theme::builtin(which, level, &UNICODE)
}

fn linear(colour: Color) -> [f64; 3] {
    let part = |value: u8| {
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    // The 16 colours as xterm draws them; terminals differ.
    let (r, g, b) = match colour {
        Color::Rgb(r, g, b) => (r, g, b),
        Color::Indexed(index) => {
            assert!(index >= 16, "the first 16 of 256 are the user's own");
            let colour = anstyle_lossy::xterm_to_rgb(anstyle::Ansi256Color(index), anstyle_lossy::palette::VGA);
            (colour.0, colour.1, colour.2)
        }
        Color::Reset | Color::Gray => (229, 229, 229),
        Color::Cyan => (0, 205, 205),
        Color::LightCyan => (0, 255, 255),
        Color::LightGreen => (0, 255, 0),
        Color::LightYellow => (255, 255, 0),
        Color::LightRed => (255, 0, 0),
        Color::LightMagenta => (255, 0, 255),
        Color::Black => (0, 0, 0),
        other => panic!("{other:?} is not readable on every xterm"),
    };
    [part(r), part(g), part(b)]
}

fn contrast(a: Color, b: Color) -> f64 {
    let light = |colour| {
        let [r, g, b] = linear(colour);
        0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
    };
    let (a, b) = (light(a), light(b));
    a.max(b) / a.min(b)
}

/// Roles that are drawn as lines, not read as text.
fn is_line(role: Role) -> bool {
    matches!(role, Role::Border | Role::ProgressRest)
}

#[test]
fn u13_text_is_readable_on_its_ground_and_on_the_selected_row() {
    for which in [Builtin::Dark, Builtin::Light, Builtin::Ansi16] {
        for level in [Level::True, Level::Ansi256] {
            let theme = theme(which, level);
            let ground = theme.style(Role::Screen).bg.unwrap_or(Color::Black);
            let band = theme.style(Role::Selection).bg.unwrap_or(ground);
            let mark = theme.style(Role::Mark).bg.unwrap_or(ground);
            for role in Role::iter().filter(|role| !is_line(*role)) {
                let style = theme.style(role);
                let Some(text) = style.fg else { continue };
                let grounds = style.bg.map_or_else(|| vec![ground, band, mark], |own| vec![own]);
                for ground in grounds {
                    let contrast = contrast(text, ground);
                    assert!(contrast >= READABLE, "{which:?} {level:?} {role:?}: {contrast:.2} on {ground:?}");
                }
            }
        }
    }
}

/// What the eye sees with one kind of cone missing (Machado, Oliveira and Fernandes 2009, severity 1).
const EYES: [(&str, [[f64; 3]; 3]); 4] = [
    ("all cones", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    (
        "deuteranopia",
        [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]],
    ),
    (
        "protanopia",
        [[0.152_286, 1.052_583, -0.204_868], [0.114_503, 0.786_281, 0.099_216], [-0.003_882, -0.048_116, 1.051_998]],
    ),
    (
        "tritanopia",
        [[1.255_528, -0.076_749, -0.178_779], [-0.078_411, 0.930_809, 0.147_602], [0.004_733, 0.691_367, 0.303_900]],
    ),
];

fn seen(colour: Color, eye: &[[f64; 3]; 3]) -> [f64; 3] {
    let light = linear(colour);
    let [r, g, b] = eye.map(|row| row.iter().zip(light).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0));
    let l = (0.412_221 * r + 0.536_333 * g + 0.051_446 * b).cbrt();
    let m = (0.211_903 * r + 0.680_700 * g + 0.107_397 * b).cbrt();
    let s = (0.088_302 * r + 0.281_719 * g + 0.629_979 * b).cbrt();
    [
        0.210_454 * l + 0.793_618 * m - 0.004_072 * s,
        1.977_998 * l - 2.428_592 * m + 0.450_594 * s,
        0.025_904 * l + 0.782_772 * m - 0.808_676 * s,
    ]
}

#[test]
fn u13_common_states_keep_apart_for_colour_blind_eyes() {
    let common = [StateKind::Waiting, StateKind::Active, StateKind::Retrying, StateKind::Completed, StateKind::Failed];
    for which in [Builtin::Dark, Builtin::Light] {
        let theme = theme(which, Level::True);
        for (name, eye) in &EYES {
            for (index, one) in common.iter().enumerate() {
                for other in &common[index + 1..] {
                    let colour = |kind| seen(theme.state(kind).fg.expect("states are coloured"), eye);
                    let distance: f64 = colour(*one).iter().zip(colour(*other)).map(|(a, b)| (a - b).powi(2)).sum();
                    let distance = distance.sqrt();
                    assert!(distance >= APART, "{which:?}, {name}: {one:?} and {other:?} {distance:.3}");
                }
            }
        }
    }
}

#[test]
fn u13_every_pair_of_states_differs_by_style_or_letter_in_every_theme_and_level() {
    for which in Builtin::iter() {
        for level in [Level::None, Level::Ansi16, Level::Ansi256, Level::True] {
            let theme = theme(which, level);
            let look = |kind| (theme.state(kind), state_letter(kind));
            for one in StateKind::iter() {
                for other in StateKind::iter().filter(|other| *other != one) {
                    assert_ne!(look(one), look(other));
                }
            }
        }
    }
}

#[test]
fn u13_without_colours_no_style_has_one_and_the_selection_still_shows() {
    for which in Builtin::iter() {
        let theme = theme(which, Level::None);
        for role in Role::iter() {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{which:?} {role:?}");
        }
        for role in [Role::Selection, Role::Prod, Role::Error, Role::Match, Role::Mark] {
            assert!(!theme.style(role).add_modifier.is_empty(), "{which:?} {role:?}");
        }
    }
}

#[test]
fn sixteen_colours_mean_the_named_ones_only() {
    for which in Builtin::iter() {
        let theme = theme(which, Level::Ansi16);
        for role in Role::iter() {
            let style = theme.style(role);
            for colour in [style.fg, style.bg].into_iter().flatten() {
                assert!(!matches!(colour, Color::Rgb(..) | Color::Indexed(_)), "{which:?} {role:?} {colour:?}");
            }
            assert!(style.fg.is_none() || style.fg != style.bg, "{which:?} {role:?} is invisible");
        }
    }
}

#[test]
fn themes_that_state_every_role_have_no_hole() {
    let spec = parse(TextFile::new("dark", Builtin::Dark.text())).expect("sound");
    for role in Role::iter() {
        assert!(spec.styles.contains_key(role.name()), "dark.toml does not set {}", role.name());
    }
}

#[test]
fn a_missing_role_takes_its_groups_style_then_that_of_text() {
    let text = "[roles]\ntext = \"1\"\nstate = \"2\"\n\"state.failed\" = \"3\"\n";
    let spec = parse(TextFile::new("t", text)).expect("sound");
    let theme = Theme::resolve(&spec, Level::Ansi256, &UNICODE);
    let colour = |role| theme.style(role).fg;
    assert_eq!(colour(Role::StateFailed), Some(Color::Indexed(3)));
    assert_eq!(colour(Role::StateActive), Some(Color::Indexed(2)));
    assert_eq!(colour(Role::JsonKey), Some(Color::Indexed(1)));
    assert_eq!(theme.style(Role::Screen), Style::new());
}

#[test]
fn a_child_changes_colours_and_roles_of_its_parent() {
    let text = "inherits = \"dark\"\n[palette]\nred = \"#ff0000\"\n[roles]\nok = \"red on 17 underline\"\n";
    let theme = Theme::resolve(&parse(TextFile::new("mine", text)).expect("sound"), Level::True, &ASCII);
    assert_eq!(theme.style(Role::StateFailed).fg, Some(Color::Rgb(255, 0, 0)));
    let ok = Style::new().fg(Color::Rgb(255, 0, 0)).bg(Color::Indexed(17)).add_modifier(Modifier::UNDERLINED);
    assert_eq!(theme.style(Role::Ok), ok);
    assert_eq!(theme.name(), "mine");
    assert!(theme.glyphs().ascii);
}

#[test]
fn users_themes_come_from_the_folder_and_may_wear_a_built_in_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("dark.toml"), "inherits = \"dark\"\n[roles]\nok = \"#010203\"\n").expect("written");
    fs::write(folder.path().join("sea.toml"), "inherits = \"dark\"\n").expect("written");
    assert_eq!(names(Some(folder.path())), ["dark", "sea", "light", "ansi16", "mono"]);
    let dark = Theme::resolve(&load("dark", Some(folder.path())).expect("sound"), Level::True, &UNICODE);
    assert_eq!(dark.style(Role::Ok).fg, Some(Color::Rgb(1, 2, 3)));
    let sea = Theme::resolve(&load("sea", Some(folder.path())).expect("sound"), Level::True, &UNICODE);
    assert_eq!(sea.style(Role::Ok).fg, Some(Color::Rgb(1, 2, 3)), "inherits the folder's dark");
    assert_eq!(sea.style(Role::Error), theme(Builtin::Dark, Level::True).style(Role::Error));
}

#[test]
fn broken_themes_are_told_with_place_and_remedy() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("one.toml", "inherits = \"two\"\n");
    write("two.toml", "inherits = \"one\"\n");
    write("lost.toml", "inherits = \"drak\"\n");
    let shown = |name: &str| {
        let problems = load(name, Some(folder.path())).expect_err("broken");
        let pictures: Vec<String> = problems.iter().map(ToString::to_string).collect();
        pictures.join("\n\n").replace(&folder.path().display().to_string(), "themes")
    };
    let mut all = vec![shown("one"), shown("lost"), shown("nothing"), shown("../one")];
    let bad = "[palette]\nsea = \"#12\"\nsand = \"#ffeedd\"\n[palette16]\nsand = \"rde\"\nsnad = \"red\"\n[roles]\n\
               eror = \"sand\"\nok = \"sand sand\"\nwarn = \"sand on\"\ninfo = \"bald\"\nkey = \"on snd\"\n";
    let broken = |text: &str| {
        let problems = parse(TextFile::new("bad.toml", text)).expect_err("broken");
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
    };
    all.extend([broken(bad), broken("[roles]\nok = 7\n"), broken("[role]\n"), broken("inherits = \"sea\"\n")]);
    insta::assert_snapshot!(all.join("\n\n---\n\n"));
}

#[test]
fn u13_the_colour_level_follows_flag_config_and_environment_in_that_order() {
    use ColourChoice as C;
    let facts = |no_color, colorterm, term| ColourFacts { no_color, colorterm, term };
    let cases = [
        (C::True, C::None, facts(Some("1"), None, Some("dumb")), Level::True),
        (C::Auto, C::Ansi256, facts(Some("1"), None, Some("dumb")), Level::Ansi256),
        (C::Auto, C::Auto, facts(Some("1"), Some("truecolor"), Some("xterm-256color")), Level::None),
        (C::Auto, C::Auto, facts(Some(""), Some("truecolor"), Some("xterm-256color")), Level::True),
        (C::Auto, C::Auto, facts(None, Some("24bit"), Some("tmux-256color")), Level::True),
        (C::Auto, C::Auto, facts(None, Some("truecolor"), Some("screen-256color")), Level::Ansi256),
        (C::Auto, C::Auto, facts(None, None, Some("xterm-256color")), Level::Ansi256),
        (C::Auto, C::Auto, facts(None, None, Some("xterm-kitty")), Level::True),
        (C::Auto, C::Auto, facts(None, None, Some("xterm")), Level::Ansi16),
        (C::Auto, C::Auto, facts(None, None, Some("linux")), Level::Ansi16),
        (C::Auto, C::Auto, facts(None, None, Some("vt100")), Level::None),
        (C::Auto, C::Auto, facts(None, Some("truecolor"), Some("dumb")), Level::None),
        (C::Auto, C::Auto, facts(None, None, None), Level::None),
    ];
    for (flag, config, facts, level) in cases {
        assert_eq!(level_for(flag, config, facts), level, "{flag:?} {config:?} {facts:?}");
    }
}
