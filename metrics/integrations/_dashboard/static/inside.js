// The inside of the program: container, health checks and reporters.

import { byId, element, graphic, replace, setText } from "./elements.js";
import { clock, duration, exact, quantity } from "./format.js";
import { sum } from "./store.js";

/** @import { Change, LifecycleMessage, Resource, TickMessage } from "../types" */

const MOST_EVENTS = 500;
const SYMBOLS = { NEW: "○", STARTING: "◔", RUNNING: "●", STOPPING: "◕", STOPPED: "□", FAILED: "✕" };
/** Sizes of the graph in pixels; below the scale it is scrolled. */
const NODE = { height: 24, step: 29, beside: 24, letter: 6.8, around: 34, letters: 24, scale: 0.85 };

export class Inside {
	#container = null;

	get state() {
		return this.#container?.state ?? "";
	}

	begin(message) {
		this.#container = message.container;
		this.isOld = true;
		this.update(message);
	}

	/** @param {TickMessage} message */
	update({ health, reporters, state }) {
		if (state && this.#container) this.#container.state = state;
		if (health) fill("health", ["Check", "State", "Since"], health.map(checkRows));
		if (reporters) fill("reporters", ["Reporter", "Sent", "Failed", "Dropped", "Pending", "Oldest"], reporters.map(reporterRows));
	}

	/** @param {LifecycleMessage} message */
	change({ event, node, state }) {
		const { resources, events } = this.#container;
		const at = resources.findIndex(({ name }) => name === node?.name);
		if (at >= 0) resources[at] = node;
		events.push(event);
		events.splice(0, events.length - MOST_EVENTS);
		this.#container.state = state;
		this.isOld = true;
	}

	render() {
		byId("container").hidden = !this.#container;
		if (!this.#container || !this.isOld) return;
		this.isOld = false;
		const { resources, events } = this.#container;
		const bars = timelineOf(events);
		replace(byId("graph"), graph(resources));
		fill("container", ["Resource", "State", "Started", "Took", bars[1].size ? "Start, stop" : "Start"], resources.map((node) => resourceRows(node, bars)));
		replace(byId("events"), ...events.map(eventItem).reverse());
	}
}

/** Fill the table of a section, which is hidden without rows. */
function fill(id, names, rows) {
	const section = byId(id);
	section.hidden = !rows.length;
	const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
	replace(section.querySelector("table"), element("thead", {}, head), element("tbody", {}, ...rows.flat()));
}

const cell = (content, title = null) => element("td", { title }, content);
const numberCell = (value, unit) => cell(quantity(value, unit), exact(value, unit));
const heading = (name, title, ...notes) =>
	element("th", { scope: "row", title }, name, ...notes.filter(Boolean).map((note) => element("small", {}, note)));

function stateOf(state, text = state.toLowerCase()) {
	const symbol = element("span", { "aria-hidden": "true" }, SYMBOLS[state]);
	return element("span", { class: "state", "data-state": state }, symbol, ` ${text}`);
}

function errorRow(columns, text, id = "", stack = "") {
	const content = stack
		? element("details", { id }, element("summary", {}, text), element("pre", { tabindex: 0 }, stack))
		: text;
	return element("tr", { class: "error" }, element("td", { colspan: columns }, content));
}

/** Set the texts of all ages. */
export function updateAges(now) {
	for (const node of document.querySelectorAll("[data-time]")) setText(node, duration(now - node.dataset.time));
}

const failureText = ({ type, message }) => (message ? `${type}: ${message}` : type);

function resourceRows({ name, state, asynchronous, borrowed, needs, hook, started, seconds, error }, bars) {
	const about = `${hook}\nneeds ${needs.join(", ") || "nothing"}`;
	const row = element("tr", {}, heading(name, about, asynchronous && "async", borrowed && "borrowed"), cell(stateOf(state)),
		cell(started ? clock(started) : "–", started && new Date(started * 1000)),
		numberCell(seconds, "seconds"), element("td", { class: "timeline" }, ...bars.map((phase) => phase.get(name) ?? "")));
	return error ? [row, errorRow(5, failureText(error), `stack of ${name}`, error.stack)] : [row];
}

/** @param {Change} change */
function eventItem({ time, resource, state, seconds, error }) {
	const took = seconds === null ? "" : `in ${quantity(seconds, "seconds")}`;
	return element("li", {}, clock(time), element("b", {}, resource), stateOf(state),
		element("span", { class: "muted" }, error ? failureText(error) : took));
}

function checkRows({ name, error, since, description }) {
	const state = error === null ? stateOf("RUNNING", "healthy") : stateOf("FAILED", "failing");
	const lasts = element("td", { "data-time": since, title: new Date(since * 1000) });
	const row = element("tr", {}, heading(name, description), cell(state), lasts);
	return error === null ? [row] : [row, errorRow(3, error)];
}

function reporterRows({ name, target, sent, failed, dropped, pending, oldest, error, since }) {
	const counts = [sent, failed, dropped, pending].map((count) => numberCell(count));
	const row = element("tr", {}, heading(name, target, target), ...counts, cell(oldest === null ? "–" : duration(oldest)));
	return error ? [row, errorRow(6, since === null ? error : `${error}, for ${duration(since)}`)] : [row];
}

/** Return the bars of a phase by resource, between two places in per cent. */
function barsOf(events, phase, left, width) {
	const ends = new Map(events.filter(({ previous, seconds }) => previous === phase && seconds !== null)
		.map((event) => [event.resource, event]));
	const begin = Math.min(...ends.values().map(({ time, seconds }) => time - seconds));
	const scale = width / (Math.max(...ends.values().map(({ time }) => time)) - begin || 1);
	return new Map(ends.values().map(({ resource, time, seconds, state }) => {
		const after = time - seconds - begin;
		const title = `after ${quantity(after, "seconds")}, for ${quantity(seconds, "seconds")}`;
		const bar = element("span", { class: `bar ${phase}`, title, "data-state": state });
		Object.assign(bar.style, { left: `${left + after * scale}%`, width: `${seconds * scale}%` });
		return [resource, bar];
	}));
}

/** Return the bars of the last start, and of the stop after it. */
function timelineOf(events) {
	const stops = barsOf(events.slice(events.findLastIndex(({ previous }) => previous === "STARTING") + 1), "STOPPING", 53, 47);
	return [barsOf(events, "STARTING", 0, stops.size ? 47 : 100), stops];
}

/** Return the layers of the graph: a resource is right of its needs, which start before it.
 * @param {Resource[]} resources */
function layersOf(resources) {
	const depths = new Map();
	for (const { name, needs } of resources) depths.set(name, 1 + Math.max(-1, ...needs.map((need) => depths.get(need) ?? -1)));
	return Object.values(Object.groupBy(resources, ({ name }) => depths.get(name)));
}

/** Return the places of the graph's nodes, and its size. */
function layout(resources) {
	const places = new Map();
	const layers = layersOf(resources);
	const height = Math.max(...layers.map((layer) => layer.length)) * NODE.step;
	let x = 1;
	for (const layer of layers) {
		const longest = Math.max(...layer.map(({ name }) => name.length));
		const width = Math.min(NODE.letters, longest) * NODE.letter + NODE.around;
		const meanOf = ({ needs }) => sum(needs.map((need) => places.get(need)?.y ?? 0)) / (needs.length || 1);
		const top = 1 + (height - layer.length * NODE.step) / 2;
		layer.toSorted((a, b) => meanOf(a) - meanOf(b))
			.forEach(({ name }, i) => places.set(name, { x, y: top + i * NODE.step, width }));
		x += width + NODE.beside;
	}
	return { places, width: x - NODE.beside + 1, height };
}

function graph(resources) {
	const { places, width, height } = layout(resources);
	const edges = resources.flatMap(({ name, needs }) =>
		needs.filter((need) => places.has(need)).map((need) => edge(places.get(need), places.get(name))));
	const nodes = resources.map((node) => box(node, places.get(node.name)));
	const viewBox = `0 0 ${width} ${height}`;
	const svg = graphic("svg", { role: "img", "aria-label": "Graph of the resources", viewBox, width }, ...edges, ...nodes);
	svg.style.minWidth = `${width * NODE.scale}px`;
	return svg;
}

function edge(from, to) {
	const [y1, y2] = [from.y + NODE.height / 2, to.y + NODE.height / 2];
	const begin = to.x - NODE.beside;
	const middle = to.x - NODE.beside / 2;
	return graphic("path", { class: "edge", d: `M${from.x + from.width} ${y1}H${begin}C${middle} ${y1} ${middle} ${y2} ${to.x} ${y2}` });
}

function box({ name, state }, { x, y, width }) {
	const text = name.length > NODE.letters ? `${name.slice(0, NODE.letters - 1)}…` : name;
	return graphic("g", { class: "node", "data-state": state, transform: `translate(${x} ${y})` },
		graphic("rect", { width, height: NODE.height, rx: 5 }),
		graphic("text", { class: "symbol", x: 9, y: 16 }, SYMBOLS[state]),
		graphic("text", { x: 24, y: 16 }, text));
}
