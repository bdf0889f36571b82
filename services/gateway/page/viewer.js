// The image: window and level, zoom, and where the model looked. Drawn here, so that a slider costs no request.

import * as api from "./api.js";
import { h, put } from "./dom.js";

const FURTHEST = 8;
const STEP = 1.3;
const NUDGE = 40;
const PLAIN = { window: 256, level: 128, zoom: 1, x: 0, y: 0, overlay: false, opacity: 60 };

//: Strengths as in the gateway's heatmap.png: 1 is the strongest cell, or four times the mean, or a tenth of a logit.
const MEAN_FACTOR = 4;
const LEAST_FULL_LOGIT = 0.1;
//: Five samples of matplotlib's inferno (CC0).
const INFERNO = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];

/** The viewer of one job. image: what the tab has of it meanwhile, or nothing. */
export function viewer(image) {
  const frame = h("div", { className: "frame" }, image
    ? h("img", { src: image, alt: "The image as submitted" })
    : h("p", {}, "The image appears here once the model has read it."));
  const element = h("section", { className: "sheet viewer", "aria-label": "Image" }, frame);
  let begun = false;
  return {
    element,
    /** Show the preview of a job whose ML reading is there. Harmless to repeat. */
    async show(job, signal) {
      if (begun) return;
      begun = true;
      try {
        const blob = await (await api.call("GET", `${api.job(job.id)}/preview.jpg`, { signal })).blob();
        const bitmap = await createImageBitmap(blob);
        const drawing = new Drawing(bitmap, job.readings.ml, job.image);
        put(frame, drawing.canvas);
        element.append(controls(drawing));
        drawing.begin(signal);
      } catch (error) {
        begun = false;
        if (!signal.aborted) put(frame, h("p", {}, `The image cannot be shown: ${error.message}`));
      }
    },
  };
}

class Drawing {
  constructor(bitmap, ml, facts) {
    this.canvas = h("canvas", { tabIndex: 0, role: "img", "aria-describedby": "viewer-help",
      "aria-label": "The image. Plus and minus zoom, arrows move, 0 starts over." });
    this.pixels = new OffscreenCanvas(bitmap.width, bitmap.height);
    this.pixels.getContext("2d").drawImage(bitmap, 0, 0);
    this.source = this.pixels.getContext("2d").getImageData(0, 0, bitmap.width, bitmap.height);
    this.heat = heat(ml.cam);
    this.box = ml.peak_box;
    this.scale = Math.max(bitmap.width, bitmap.height) / Math.max(facts.width, facts.height);
    this.changed = () => {};
    Object.assign(this, PLAIN);
  }

  begin(signal) {
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.canvas.onkeydown = (event) => this.key(event);
    this.canvas.onpointerdown = (event) => this.drag(event);
    this.canvas.ondblclick = () => this.set({ zoom: this.zoom > 1 ? 1 : 2.5, x: 0, y: 0 });
    this.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && this.zoom === 1) return; // the page scrolls on
      event.preventDefault();
      this.set({ zoom: this.zoom * (event.deltaY < 0 ? STEP : 1 / STEP) });
    }, { passive: false, signal });
    this.set({});
  }

  /** Change how it is shown; window and level in grey levels, opacity in per cent. */
  set(change) {
    const isNew = ["window", "level"].some((name) => name in change);
    Object.assign(this, change);
    this.zoom = Math.min(FURTHEST, Math.max(1, this.zoom));
    this.window = Math.min(256, Math.max(2, Math.round(this.window)));
    this.level = Math.min(255, Math.max(0, Math.round(this.level)));
    const reach = (this.canvas.clientWidth * (this.zoom - 1)) / 2;
    this.x = Math.min(reach, Math.max(-reach, this.x));
    this.y = Math.min(reach, Math.max(-reach, this.y));
    this.canvas.classList.toggle("far", this.zoom > 1);
    if (isNew) windowed(this.source, this.pixels, this.window, this.level);
    this.changed();
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    const { canvas } = this;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (!side) return;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, side, side);
    const { width, height } = this.pixels;
    const unit = (side / Math.max(width, height)) * this.zoom;
    pen.setTransform(unit, 0, 0, unit, side / 2 + this.x * devicePixelRatio, side / 2 + this.y * devicePixelRatio);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.pixels, -width / 2, -height / 2);
    if (this.overlay) this.drawOverlay(pen, width, height, unit);
  }

  /** The network saw the image letter-boxed in a square, so the map covers that square; its bars are cut off. */
  drawOverlay(pen, width, height, unit) {
    const square = Math.max(width, height);
    pen.save();
    pen.beginPath();
    pen.rect(-width / 2, -height / 2, width, height);
    pen.clip();
    pen.globalAlpha = this.opacity / 100;
    pen.drawImage(this.heat, -square / 2, -square / 2, square, square);
    pen.restore();
    if (!this.box) return;
    const [x, y, w, h_] = [this.box.left, this.box.top, this.box.width, this.box.height].map((px) => px * this.scale);
    pen.lineWidth = (2 * devicePixelRatio) / unit;
    pen.strokeStyle = "#fff";
    pen.setLineDash([6 / unit * devicePixelRatio, 4 / unit * devicePixelRatio]);
    pen.strokeRect(x - width / 2, y - height / 2, w, h_);
    pen.setLineDash([]);
  }

  key(event) {
    const moves = { ArrowLeft: [NUDGE, 0], ArrowRight: [-NUDGE, 0], ArrowUp: [0, NUDGE], ArrowDown: [0, -NUDGE] };
    if (event.key === "+" || event.key === "=") this.set({ zoom: this.zoom * STEP });
    else if (event.key === "-") this.set({ zoom: this.zoom / STEP });
    else if (event.key === "0") this.set(PLAIN);
    else if (moves[event.key]) this.set({ x: this.x + moves[event.key][0], y: this.y + moves[event.key][1] });
    else return;
    event.preventDefault();
  }

  /** Zoomed: move. Otherwise as at a workstation: sideways the window, up and down the level. */
  drag(event) {
    const { x, y, window: width, level } = this;
    const [fromX, fromY] = [event.clientX, event.clientY];
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.onpointermove = (now) => {
      const [dx, dy] = [now.clientX - fromX, now.clientY - fromY];
      this.set(this.zoom > 1 ? { x: x + dx, y: y + dy } : { window: width + dx / 2, level: level - dy / 2 });
    };
    this.canvas.onpointerup = this.canvas.onpointercancel = () => { this.canvas.onpointermove = null; };
  }
}

/** Grey levels below the window become black, those above it white: DICOM's linear function (PS3.3, C.11.2.1.2.1). */
function windowed({ data, width, height }, target, window_, level) {
  const table = Uint8ClampedArray.from({ length: 256 }, (_, value) => 255 * ((value - level + 0.5) / (window_ - 1) + 0.5));
  const out = new ImageData(width, height);
  for (let at = 0; at < data.length; at += 4) {
    out.data[at] = table[data[at]];
    out.data[at + 1] = table[data[at + 1]];
    out.data[at + 2] = table[data[at + 2]];
    out.data[at + 3] = 255;
  }
  target.getContext("2d").putImageData(out, 0, 0);
}

/** The map in its own 7 x 7 cells; drawn large, the browser blends between their middles. */
function heat(cam) {
  const cells = cam.flat();
  const full = Math.max(...cells, (MEAN_FACTOR * cells.reduce((sum, value) => sum + value, 0)) / cells.length, LEAST_FULL_LOGIT);
  const small = new OffscreenCanvas(cam[0].length, cam.length);
  const image = new ImageData(small.width, small.height);
  cells.forEach((value, at) => image.data.set([...colour(value / full), Math.round((255 * value) / full)], 4 * at));
  small.getContext("2d").putImageData(image, 0, 0);
  return small;
}

function colour(strength) {
  const at = strength * (INFERNO.length - 1);
  const left = Math.min(Math.floor(at), INFERNO.length - 2);
  return INFERNO[left].map((value, channel) => Math.round(value + (at - left) * (INFERNO[left + 1][channel] - value)));
}

function controls(drawing) {
  const shown = h("input", { type: "checkbox", onchange: () => drawing.set({ overlay: shown.checked }) });
  const more = h("div", { className: "stack", hidden: true },
    sliders(drawing, [["Opacity", "opacity", 0, 100, " %"]]),
    h("div", { className: "ramp", "aria-hidden": "true" }),
    h("p", { className: "small soft" },
      "Coarse: 7 × 7 cells over the whole image (Grad-CAM). Bright cells spoke for Positive; the frame is the strongest. ",
      "It shows what the model used, not where a lesion is."));
  const update = drawing.changed;
  drawing.changed = () => { update(); more.hidden = !drawing.overlay; shown.checked = drawing.overlay; };
  const button = (name, label, change) => h("button", { type: "button", "aria-label": label, onclick: () => drawing.set(change()) }, name);
  return h("div", { className: "controls" },
    h("div", { className: "row spread" },
      h("label", { className: "line" }, shown, "Show where the model looked"),
      h("div", { className: "row" },
        button("−", "Zoom out", () => ({ zoom: drawing.zoom / STEP })),
        button("+", "Zoom in", () => ({ zoom: drawing.zoom * STEP })),
        button("Reset", "Reset the view", () => ({ ...PLAIN, overlay: drawing.overlay })))),
    more,
    sliders(drawing, [["Window", "window", 2, 256, ""], ["Level", "level", 0, 255, ""]]),
    h("p", { className: "small soft", id: "viewer-help" }, "A preview of at most 512 px a side, for orientation; not for diagnosis."));
}

function sliders(drawing, wanted) {
  return h("div", { className: "sliders" }, wanted.map(([name, what, min, max, unit]) => {
    const id = `slide-${what}`;
    const value = h("output", { htmlFor: id, className: "num" });
    const input = h("input", { type: "range", id, min, max, oninput: () => drawing.set({ [what]: Number(input.value) }) });
    const before = drawing.changed;
    drawing.changed = () => { before(); input.value = drawing[what]; value.textContent = `${drawing[what]}${unit}`; };
    return [h("label", { htmlFor: id }, name), input, value];
  }));
}
