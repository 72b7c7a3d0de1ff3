//! The mean path with its band, as SVG in the colours of the page around it.

use std::ops::Range;

use crate::{AFTER, BEFORE, MeanPath};
use plotters::element::PathElement;
use plotters::prelude::*;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[error("the picture of {of} could not be drawn: {reason}")]
pub struct Drawing {
    of: String,
    reason: String,
}

// Each colour stands for a role; the page's style sheet gives it the colour of
// the theme by these very values. Alone, the picture is readable all the same.
const INK: RGBColor = RGBColor(0x30, 0x30, 0x31);
const GRID: RGBColor = RGBColor(0xdc, 0xdc, 0xdd);
const LINE: RGBColor = RGBColor(0x1f, 0x5f, 0xbf);
const BAND: RGBColor = RGBColor(0xc9, 0xdb, 0xf5);
const BEFORE_NEWS: RGBColor = RGBColor(0xf4, 0xef, 0xe2);
const NEWS: RGBColor = RGBColor(0xb0, 0x48, 0x12);

const SIZE: (u32, u32) = (860, 320);

/// Draws the mean cumulative abnormal return of a path, in percent over the
/// minutes, with its band; the time before publication is shaded.
pub(crate) fn of(name: &str, path: &MeanPath) -> Result<String, Drawing> {
    let mut svg = String::new();
    draw(&mut svg, path).map_err(|reason| Drawing { of: name.to_owned(), reason })?;
    Ok(svg)
}

fn draw(svg: &mut String, path: &MeanPath) -> Result<(), String> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let height = height(path);
    let minutes = -(BEFORE as f64)..AFTER as f64;
    let text = ("sans-serif", 13).into_font().color(&INK);
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        .margin_right(16)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(minutes.clone(), height.clone())
        .map_err(|error| error.to_string())?;
    let shade = Rectangle::new([(minutes.start, height.start), (0.0, height.end)], BEFORE_NEWS.filled());
    chart.draw_series([shade]).map_err(|error| error.to_string())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .x_labels(10)
        .y_labels(6)
        .x_desc("minutes from publication")
        .y_desc("cumulative abnormal return, %")
        .label_style(text.clone())
        .axis_desc_style(text)
        .x_label_formatter(&|minute| format!("{minute:.0}"))
        .y_label_formatter(&|percent| format!("{percent:.2}"))
        .draw()
        .map_err(|error| error.to_string())?;
    for run in bands(path) {
        chart.draw_series([Polygon::new(run, BAND.filled())]).map_err(|error| error.to_string())?;
    }
    let flat = PathElement::new([(minutes.start, 0.0), (minutes.end, 0.0)], INK.stroke_width(1));
    let news = PathElement::new([(0.0, height.start), (0.0, height.end)], NEWS.stroke_width(1));
    chart.draw_series([flat, news]).map_err(|error| error.to_string())?;
    for run in means(path) {
        chart.draw_series(LineSeries::new(run, LINE.stroke_width(2))).map_err(|error| error.to_string())?;
    }
    root.present().map_err(|error| error.to_string())
}

/// From the lowest to the highest value shown, with some room.
fn height(path: &MeanPath) -> Range<f64> {
    let estimates = path.minutes.iter().filter_map(|minute| minute.cumulative);
    let ends = estimates.flat_map(|estimate| {
        let (low, high) = estimate.band.unwrap_or((estimate.mean, estimate.mean));
        [100.0 * low, 100.0 * high]
    });
    let (low, high) = ends.fold((0.0, 0.0), |(low, high): (f64, f64), end| (low.min(end), high.max(end)));
    let room = (0.06 * (high - low)).max(0.01);
    low - room..high + room
}

/// The mean over stretches without a hole.
fn means(path: &MeanPath) -> Vec<Vec<(f64, f64)>> {
    let known = |minute: &crate::MeanMinute| {
        minute.cumulative.map(|estimate| (minute.minute as f64, 100.0 * estimate.mean))
    };
    stretches(path.minutes.iter().map(known))
}

/// The outlines of the band over stretches without a hole.
fn bands(path: &MeanPath) -> Vec<Vec<(f64, f64)>> {
    let known = |minute: &crate::MeanMinute| {
        let (low, high) = minute.cumulative?.band?;
        Some((minute.minute as f64, 100.0 * low, 100.0 * high))
    };
    let outline = |run: Vec<(f64, f64, f64)>| {
        let low = run.iter().map(|&(minute, low, _)| (minute, low));
        let high = run.iter().rev().map(|&(minute, _, high)| (minute, high));
        low.chain(high).collect()
    };
    stretches(path.minutes.iter().map(known)).into_iter().map(outline).collect()
}

fn stretches<T>(values: impl Iterator<Item = Option<T>>) -> Vec<Vec<T>> {
    let mut runs = vec![Vec::new()];
    for value in values {
        match (value, runs.last_mut()) {
            (Some(value), Some(run)) => run.push(value),
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| run.len() > 1);
    runs
}
