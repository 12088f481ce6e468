// One row of the list: its texts and its sparkline.

import { colors, drawHeat, drawLines } from "./charts.js";
import { element, setText } from "./elements.js";
import { exact, quantity, rate } from "./format.js";
import { levels, sum } from "./store.js";

/** @import { ListRow } from "../types" */

const [HEIGHT, GAP] = [22, 10];

let made = 0;

const cell = (name, ...children) => element("span", { role: "gridcell", class: name }, ...children);

export class RowView {
	#title = element("span", { class: "title" });
	#note = element("span", { class: "note" });
	#name = cell("name", this.#title, this.#note);
	#value = cell("value");
	#text = "";
	#drawn = "";

	/** @param {ListRow} row */
	constructor({ type, tracks: [{ shape, columns }] }, parent) {
		made += 1;
		const isPlain = type === "group" || !columns.length || (type === "family" && shape === "level");
		const hasHeat = type === "series" && shape === "distribution";
		this.canvases = Array.from({ length: isPlain ? 0 : hasHeat ? 2 : 1 }, () => element("canvas"));
		this.node = element("div", { role: "row", id: `row-${made}`, class: `row ${type}` },
			this.#name, this.#value, cell("trend", ...this.canvases));
		parent.append(this.node);
	}

	place(index, height, isCurrent) {
		this.node.style.transform = `translateY(${index * height}px)`;
		this.node.ariaRowIndex = index + 2;
		this.node.ariaSelected = isCurrent;
	}

	update(row, moment) {
		const { store, span, width } = moment;
		const [title, note, tip, readings, isFull] = textsOf(row, store);
		setText(this.#title, title);
		setText(this.#note, note);
		this.#name.title = tip;
		this.node.ariaLevel = row.level;
		this.node.ariaExpanded = row.open;
		this.node.classList.toggle("full", isFull);
		this.node.classList.toggle("changed", row.tracks.some(({ changed }) => changed === store.ticks));
		this.#read(readings);
		const drawn = [span.to, span.slots.length, colors.ink, width, row.tracks.length].join();
		if (drawn !== this.#drawn && this.canvases.length) this.#draw(row, moment);
		this.#drawn = drawn;
	}

	#read(readings) {
		const text = readings.join();
		if (text === this.#text) return;
		this.#text = text;
		this.#value.replaceChildren(...readings.map(([label, number, title]) =>
			element("span", { title }, element("small", {}, label), number)));
	}

	#draw({ tracks }, { store, span, width }) {
		const [canvas, heat] = this.canvases;
		const [{ shape, heat: columns }] = tracks;
		const size = [heat ? (width - GAP) / 2 : width, HEIGHT];
		const values = shape === "rate" || tracks.length > 1 ? sumOfRates(tracks, span, store)
			: levels(tracks[0], shape === "level" ? 0 : 2, span);
		drawLines(canvas, size, span, [{ label: "", color: colors["line-1"], values }]);
		if (heat) drawHeat(heat, size, span, span.slots.map((slot) => columns[slot]));
	}
}

function sumOfRates(tracks, span, store) {
	const sums = span.slots.map(() => NaN);
	for (const track of tracks) {
		store.rates(track, span).forEach((each, i) => {
			if (!Number.isNaN(each)) sums[i] = (sums[i] || 0) + each;
		});
	}
	return sums;
}

/** Return title, note, tip, readings, and whether the row is at a cap. @param {ListRow} row */
function textsOf({ type, title, tracks, level }, store) {
	if (type === "group") return [title || "other", String(tracks.length), title, [], false];
	const [{ key, labels, series }] = tracks;
	const { name, description, overflow } = series;
	if (type === "series") {
		const note = overflow ? "all beyond the cap of its family" : level === 2 ? labels : "";
		return [title, note, `${key}\n${description}`, readingsOf(tracks[0], store), overflow === true];
	}
	const isFull = store.full.has(name);
	const note = `${tracks.length} series${isFull ? " at its cap" : ""} by ${Object.keys(series.labels).join(", ")}`;
	return [title, note, `${name}\n${description}`, familyReadings(tracks, store), isFull];
}

/** Return the sum of the rates of a family, or the range of its levels. */
function familyReadings(tracks, store) {
	const [{ shape, series: { unit } }] = tracks;
	if (shape === "text") return [];
	const values = tracks.map((track) => (shape === "level" ? track.values[0] : store.rate(track)));
	const known = values.filter((value) => value != null);
	if (!known.length) return [];
	const [low, high] = [Math.min(...known), Math.max(...known)].map((value) => quantity(value, unit));
	if (shape === "level") return [["", low === high ? low : `${low} to ${high}`, null]];
	const total = sum(known);
	return [["", rate(total, shape === "rate" ? unit : ""), exact(total, "per second")]];
}

/** Return the readings of a series: labels, texts and exact values. */
function readingsOf(track, store) {
	const { shape, values: [value], series: { unit } } = track;
	const reading = (label, number) => [label, quantity(number, unit), exact(number, unit)];
	if (shape === "level" || shape === "text") return [reading("", value)];
	if (shape === "distribution") return ["p50", "p95", "p99"].map((name) => reading(name, track.value(name)));
	const now = store.rate(track);
	return [reading("total", value), ["", rate(now, unit), exact(now, `${unit} per second`)]];
}
