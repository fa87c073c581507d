//! Square codes in the terminal, two modules per character with half blocks.

use qrcode::{Color, EcLevel, QrCode};

/// The code of `text`; none when it does not fit.
pub(crate) fn draw(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width();
    let colors = code.into_colors();
    // Quiet zone of two modules; outside the code everything is light.
    let dark = |x: usize, y: usize| match (x.checked_sub(2), y.checked_sub(2)) {
        (Some(x), Some(y)) if x < width => {
            let at = y.saturating_mul(width).saturating_add(x);
            colors.get(at).is_some_and(|color| *color == Color::Dark)
        }
        _ => false,
    };
    let side = width.saturating_add(4);
    let row = |y: usize| -> String {
        let cell = |x: usize| match (dark(x, y), dark(x, y.saturating_add(1))) {
            // Light modules are drawn, so the code reads on a dark terminal as well.
            (false, false) => '█',
            (false, true) => '▀',
            (true, false) => '▄',
            (true, true) => ' ',
        };
        (0..side).map(cell).collect()
    };
    let rows: Vec<String> = (0..side).step_by(2).map(|y| format!("    {}", row(y))).collect();
    Some(rows.join("\n"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_code_is_square_and_small() {
        let code = super::draw("0x51A2000000000000000000000000000000c09E00").unwrap();
        let lines: Vec<&str> = code.lines().collect();
        assert!(lines.len() <= 19, "{}", lines.len());
        assert!(lines.iter().all(|l| l.chars().count() == lines[0].chars().count()));
    }
}
