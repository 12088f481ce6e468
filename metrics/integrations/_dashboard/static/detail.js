// The dialog of one series: numbers, a large chart and a heat map.

import { colors, drawHeat, drawLines, nearest } from "./charts.js";
import { byId, element, replace, setText } from "./elements.js";
import { clock, exact, quantity, rate } from "./format.js";
import { HISTORY, levels, sum } from "./store.js";

/** @import { Line } from "../types"
 * @import { Store, Track } from "./store.js" */

export class Detail {
	#dialog = byId("detail");
	#charts = byId("detail-charts");
	#lines = byId("detail-lines");
	#heat = byId("detail-heat");
	#time = 0; // At the crosshair.

	/** @param {Store} store */
	constructor(store) {
		this.store = store;
		this.#charts.addEventListener("pointermove", ({ clientX }) => this.#aim(nearest(this.#lines, this.span, clientX)));
		this.#charts.addEventListener("pointerleave", () => this.#aim(-1));
		this.#charts.addEventListener("keydown", (event) => this.#press(event));
		new ResizeObserver(() => this.render()).observe(this.#charts);
	}

	/** @param {Track} track */
	open(track) {
		this.track = track;
		this.#time = 0;
		this.#dialog.showModal();
		this.render();
	}

	render() {
		if (!this.#dialog.open) return;
		this.#follow();
		this.#describe();
		this.span = this.store.span(HISTORY);
		const lines = linesOf(this.track, this.span, this.store);
		this.#charts.hidden = !lines.some(({ values }) => values.some((value) => !Number.isNaN(value)));
		if (!this.#charts.hidden) this.#draw(lines);
	}

	/** Find the series again after a restart. */
	#follow() {
		const { tracks } = this.store;
		const isKnown = () => tracks.get(this.track.series.id) === this.track;
		if (!isKnown()) this.track = tracks.values().find(({ key }) => key === this.track.key) ?? this.track;
		this.note = isKnown() ? "" : "no longer registered";
	}

	#describe() {
		const { name, kind, unit, description, labels } = this.track.series;
		setText(byId("detail-title"), name);
		setText(byId("detail-about"), [kind, unit, this.note, description].filter(Boolean).join(" · "));
		replace(byId("detail-labels"), ...Object.entries(labels).map(([label, value]) =>
			element("li", {}, element("span", { class: "muted" }, `${label} `), value)));
		replace(byId("detail-numbers"), ...numbersOf(this.track, this.store).map(([term, text, title]) =>
			element("div", {}, element("dt", {}, term), element("dd", { title }, text))));
	}

	#draw(lines) {
		const { span, track } = this;
		const show = track.shape === "rate" ? rate : quantity;
		const format = (value) => show(value, track.series.unit);
		const cursor = span.times.indexOf(this.#time);
		const axes = { format, cursor };
		drawLines(this.#lines, sizeOf(this.#lines), span, lines, axes);
		replace(byId("detail-legend"), cursor < 0 ? "now" : clock(this.#time), ...lines.map((line) => legendOf(line, axes)));
		this.#drawHeat(axes);
	}

	#drawHeat(axes) {
		const { heat } = this.track;
		const columns = heat.length ? this.span.slots.map((slot) => heat[slot]) : [];
		const isEmpty = !columns.some((column) => column?.length);
		this.#heat.hidden = byId("heat-title").hidden = isEmpty;
		if (isEmpty) return;
		drawHeat(this.#heat, sizeOf(this.#heat), this.span, columns, axes);
		const column = columns.at(axes.cursor) ?? [];
		const count = Math.round(sum(column.map(([, each]) => each)));
		setText(byId("heat-title"), `Observations by bucket: ${quantity(count)}`);
	}

	#press(event) {
		const { times } = this.span;
		const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
		if (!step) return;
		event.preventDefault();
		const at = this.#time ? times.indexOf(this.#time) : times.length - 1;
		this.#aim(Math.max(0, Math.min(times.length - 1, at + step)));
	}

	#aim(index) {
		this.#time = this.span.times[index] ?? 0;
		byId("detail-legend").ariaLive = this.#time ? "polite" : "off";
		this.render();
	}
}

const sizeOf = ({ clientWidth, clientHeight }) => [clientWidth, clientHeight];

function legendOf({ label, color, values }, { format, cursor }) {
	const swatch = element("i");
	swatch.style.background = color;
	return element("span", {}, swatch, `${label} `, element("b", {}, format(values.at(cursor))));
}

/** @returns {Line[]} */
function linesOf(track, span, store) {
	const line = (label, i, values) => ({ label, color: colors[`line-${i}`], values });
	if (track.shape === "rate") return [line("rate", 1, store.rates(track, span))];
	if (track.shape === "level") return [line("value", 1, levels(track, 0, span))];
	if (track.shape === "text") return [];
	return ["p50", "p95", "p99"].map((label, i) => line(label, i + 1, levels(track, i + 1, span)));
}

/** Return names, texts and exact values. */
function numbersOf(track, store) {
	const { shape, names, values, columns, series: { unit } } = track;
	const number = (name, value, own = unit) => [name, quantity(value, own), exact(value, own)];
	if (!columns.length) return [number("now", values[0])];
	if (shape === "level") {
		const known = levels(track, 0, store.span(HISTORY)).filter((value) => !Number.isNaN(value));
		const extremes = known.length ? [number("lowest", Math.min(...known)), number("highest", Math.max(...known))] : [];
		return [number("now", values[0]), ...extremes];
	}
	const counted = shape === "rate" ? unit : "";
	const perSecond = (name, value) => [name, rate(value, counted), exact(value, `${counted} per second`)];
	return [
		perSecond("rate now", store.rate(track)),
		...[1, 5, 15].map((minutes) =>
			perSecond(`rate, ${minutes} min`, track.value(`${minutes} min`) ?? store.meanRate(track, minutes * 60))),
		number("count", values[0], counted),
		...names.slice(1).filter((name) => !name.includes(" ")).map((name) => number(name, track.value(name))),
	];
}
