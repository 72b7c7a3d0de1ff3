// A chart as a picture to keep: twice as fine as on the screen.

export function save(element, name) {
  const { width, height } = element.getBoundingClientRect();
  const filename = name.replaceAll(/[^\w.-]+/g, "-");
  return globalThis.Plotly?.downloadImage(element, { format: "png", scale: 2, width, height, filename });
}
