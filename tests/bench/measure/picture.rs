//! The picture in README: the real program over its own demo, drawn from the cells of the terminal.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use qtop_testkit::Terminal;

use crate::QTOP;

const COLUMNS: u16 = 132;
const ROWS: u16 = 32;
const CELL: (f64, f64) = (8.4, 18.0);
const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d7dae0";

/// The sixteen colours of a terminal, where the program asks for one of them.
const SIXTEEN: [&str; 16] = [
    "#2a2e37", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf", "#5c6370", "#f48771",
    "#b5e08f", "#ffd787", "#84c7ff", "#dd9bf0", "#7fd6e0", "#ffffff",
];

/// Runs the demo for a while and writes the overview as SVG, and as text beside it.
pub fn draw(file: &Path) {
    let mut terminal = Terminal::builder(QTOP)
        .args(["demo"])
        .env("COLORTERM", "truecolor")
        .env("PATH", &std::env::var("PATH").expect("PATH is set"))
        .size(COLUMNS, ROWS)
        .spawn();
    terminal.wait_for_text("thumbnails", Duration::from_secs(30));
    // Rates and sparklines need a past. A queue in which something happens shows more than the first one.
    terminal.send("jjj");
    std::thread::sleep(Duration::from_secs(75));
    let svg = terminal.screen(svg);
    std::fs::write(file, svg).expect("the picture can be written");
    let lines: Vec<String> = terminal.text().lines().map(|line| line.trim_end().to_owned()).collect();
    std::fs::write(file.with_extension("txt"), lines.join("\n") + "\n").expect("the text can be written");
    terminal.send("q");
    terminal.wait_exit(Duration::from_secs(10));
}

fn svg(screen: &vt100::Screen) -> String {
    let (width, height) = (f64::from(COLUMNS) * CELL.0 + 24.0, f64::from(ROWS) * CELL.1 + 24.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-size=\"14\" \
         font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for row in 0..ROWS {
        let mut column = 0;
        while column < COLUMNS {
            let style = style(screen, row, column);
            let start = column;
            let mut text = String::new();
            while column < COLUMNS && self::style(screen, row, column) == style {
                let cell = screen.cell(row, column).expect("a cell on the screen");
                if !cell.is_wide_continuation() {
                    text.push_str(if cell.has_contents() { cell.contents() } else { " " });
                }
                column += 1;
            }
            run(&mut out, row, start, column - start, &text, &style);
        }
    }
    out.push_str("</svg>\n");
    out
}

#[derive(PartialEq, Eq)]
struct Style {
    foreground: String,
    background: String,
    bold: bool,
    dim: bool,
}

fn style(screen: &vt100::Screen, row: u16, column: u16) -> Style {
    let cell = screen.cell(row, column).expect("a cell on the screen");
    let mut colours = (colour(cell.fgcolor(), FOREGROUND), colour(cell.bgcolor(), BACKGROUND));
    if cell.inverse() {
        colours = (colours.1, colours.0);
    }
    Style { foreground: colours.0, background: colours.1, bold: cell.bold(), dim: cell.dim() }
}

fn colour(colour: vt100::Color, default: &str) -> String {
    match colour {
        vt100::Color::Default => default.to_owned(),
        vt100::Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
        vt100::Color::Idx(index @ 0..16) => SIXTEEN[usize::from(index)].to_owned(),
        vt100::Color::Idx(index @ 16..232) => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let cube = index - 16;
            format!("#{:02x}{:02x}{:02x}", level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        vt100::Color::Idx(index) => format!("#{0:02x}{0:02x}{0:02x}", 8 + 10 * (index - 232)),
    }
}

fn run(out: &mut String, row: u16, column: u16, width: u16, text: &str, style: &Style) {
    let (x, y) = (12.0 + f64::from(column) * CELL.0, 12.0 + f64::from(row) * CELL.1);
    let length = f64::from(width) * CELL.0;
    let infallible = "writing into a string";
    if style.background != BACKGROUND {
        let fill = &style.background;
        writeln!(out, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{}\" fill=\"{fill}\"/>", CELL.1)
            .expect(infallible);
    }
    if text.trim().is_empty() {
        return;
    }
    let weight = if style.bold { " font-weight=\"bold\"" } else { "" };
    let opacity = if style.dim { " opacity=\"0.6\"" } else { "" };
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{}\"{weight}{opacity} textLength=\"{length:.1}\" \
         lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{escaped}</text>",
        y + 13.5,
        style.foreground,
    )
    .expect(infallible);
}
