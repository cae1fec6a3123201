/** Return a canvas with pictures in a row, each under its label, as `restyle invert` writes. */
export function labelledStrip(pictures) {
  const [gap, top] = [4, 24];
  const { width, height } = pictures[0].canvas;
  const factor = Math.ceil(128 / Math.max(width, height)); // small ones are enlarged
  const [across, down] = [width * factor, height * factor];
  const sheet = document.createElement("canvas");
  sheet.width = pictures.length * (across + gap) + gap;
  sheet.height = top + down + gap;
  const context = sheet.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, sheet.width, sheet.height);
  Object.assign(context, { fillStyle: "black", font: "13px sans-serif" });
  Object.assign(context, { textAlign: "center", textBaseline: "middle", imageSmoothingEnabled: false });
  pictures.forEach(({ label, canvas }, place) => {
    const left = gap + place * (across + gap);
    context.fillText(label, left + across / 2, top / 2);
    context.drawImage(canvas, left, top, across, down);
  });
  return sheet;
}
