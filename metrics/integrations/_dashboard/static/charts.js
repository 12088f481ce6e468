// Charts on canvases: lines and heat maps, with axes or without.

import { clock } from "./format.js";

/** @import { Axes, Heat, Line, Size, Span } from "../types" */

const LARGE = { left: 64, right: 12, top: 10, bottom: 22 };
const SMALL = { left: 1, right: 3, top: 2, bottom: 2 };

/** Colours of the present scheme. */
export const colors = {};

export function readColors() {
	const style = getComputedStyle(document.documentElement);
	for (const name of ["line-1", "line-2", "line-3", "grid", "muted", "ink"]) colors[name] = style.getPropertyValue(`--${name}`);
}

/** Clear a canvas; return its context and the functions of places. */
function frame(canvas, [width, height], span, [low, high], margin) {
	const ratio = window.devicePixelRatio;
	Object.assign(canvas, { width: width * ratio, height: height * ratio });
	const context = canvas.getContext("2d");
	context.scale(ratio, ratio);
	const { left, top } = margin;
	const [right, bottom] = [width - margin.right, height - margin.bottom];
	const x = (time) => left + ((time - span.from) / (span.to - span.from)) * (right - left);
	const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
	return { context, x, y, left, right, top, bottom };
}

/** Return the bounds of an axis, with zero if it is near. */
function bounds(values) {
	const known = values.filter((value) => !Number.isNaN(value));
	const [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 0];
	if (low === high) return [Math.min(0, 2 * low), Math.max(0, 2 * high) || 1];
	return [low > 0 && low < high * 0.6 ? 0 : low, high];
}

/** Return about four round numbers. */
function roundNumbers([low, high]) {
	const rough = (high - low) / 4;
	const power = 10 ** Math.floor(Math.log10(rough));
	const step = power * [1, 2, 5, 10].find((factor) => factor * power > rough * 0.999);
	const numbers = [];
	for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n += 1) numbers.push(n * step);
	return numbers;
}

function drawAxes({ context, x, y, left, right, top, bottom }, marks, span, { format, cursor }) {
	const font = `11px ${getComputedStyle(document.body).fontFamily}`;
	Object.assign(context, { font, textAlign: "right", textBaseline: "middle" });
	for (const mark of marks) {
		context.fillStyle = colors.grid;
		context.fillRect(left, Math.round(y(mark)), right - left, 1);
		context.fillStyle = colors.muted;
		context.fillText(format(mark), left - 8, y(mark));
	}
	Object.assign(context, { textAlign: "center", textBaseline: "top" });
	const step = [10, 30, 60, 120].find((seconds) => (span.to - span.from) / seconds <= (right - left) / 64) ?? 300;
	for (let time = Math.ceil(span.from / step) * step; time <= span.to; time += step) {
		context.fillRect(Math.round(x(time)), bottom, 1, 4);
		context.fillText(clock(time, step >= 60), Math.min(x(time), right - 14), bottom + 7);
	}
	context.fillStyle = colors.ink;
	if (cursor >= 0) context.fillRect(Math.round(x(span.times[cursor])), top, 1, bottom - top);
}

/** Return the points of a line, in parts between gaps. */
function parts({ x, y }, { times }, values) {
	const found = [[]];
	values.forEach((value, i) => {
		if (Number.isNaN(value)) found.push([]);
		else found.at(-1).push([x(times[i]), y(value)]);
	});
	return found.filter((part) => part.length);
}

function drawLine({ context, bottom }, points, isOnly) {
	const [[first, top]] = points;
	context.beginPath();
	context.moveTo(first - 0.01, top); // A lone point is a dot.
	for (const point of points) context.lineTo(...point);
	context.stroke();
	context.lineTo(points.at(-1)[0], bottom);
	context.lineTo(first, bottom);
	context.globalAlpha = isOnly ? 0.13 : 0;
	context.fill();
	context.globalAlpha = 1;
}

/** @param {Size} size @param {Span} span @param {Line[]} lines @param {Axes} [axes] none for a sparkline */
export function drawLines(canvas, size, span, lines, axes) {
	const limits = bounds(lines.flatMap(({ values }) => values));
	const at = frame(canvas, size, span, limits, axes ? LARGE : SMALL);
	const { context, x, y } = at;
	if (axes) drawAxes(at, roundNumbers(limits), span, axes);
	Object.assign(context, { lineWidth: axes ? 1.75 : 1.25, lineJoin: "round" });
	for (const { color, values } of lines) {
		Object.assign(context, { strokeStyle: color, fillStyle: color });
		for (const points of parts(at, span, values)) drawLine(at, points, lines.length === 1);
		const index = axes ? axes.cursor : values.length - 1;
		context.beginPath();
		if (index >= 0) context.arc(x(span.times[index]), y(values[index]), axes ? 3.5 : 1.75, 0, 7);
		context.fill();
	}
}

const lowerBound = (index) => (index < -80 ? 0 : 2 ** (index / 2));

/** Draw a column for each tick, a row for each bucket. @param {(Heat | null)[]} columns */
export function drawHeat(canvas, size, span, columns, axes) {
	const cells = columns.flatMap((column) => column ?? []);
	const most = Math.max(...cells.map(([, count]) => count));
	// A bucket without observations has no row.
	const used = [...new Set(cells.map(([index]) => index))].sort((a, b) => a - b);
	const rows = new Map(used.map((index, row) => [index, row]));
	const at = frame(canvas, size, span, [0, used.length], axes ? LARGE : SMALL);
	const { context, x, y, left } = at;
	context.fillStyle = colors["line-1"];
	columns.forEach((column, i) => {
		const begin = Math.max(left, x(span.times[i] - span.step));
		for (const [index, count] of column ?? []) {
			const row = rows.get(index);
			context.globalAlpha = 0.12 + 0.88 * Math.sqrt(count / most);
			context.fillRect(begin, y(row + 1), x(span.times[i]) - begin + 0.3, y(row) - y(row + 1));
		}
	});
	context.globalAlpha = 1;
	if (!axes) return;
	const marks = used.keys().filter((row) => row % Math.ceil(used.length / 8) === 0);
	drawAxes(at, marks, span, { cursor: axes.cursor, format: (row) => axes.format(lowerBound(used[row])) });
}

/** Return the index of the time at a place of the window. */
export function nearest(canvas, { times, from, to }, place) {
	const { left, width } = canvas.getBoundingClientRect();
	const time = from + ((place - left - LARGE.left) / (width - LARGE.left - LARGE.right)) * (to - from);
	const distances = times.map((other) => Math.abs(other - time));
	return distances.indexOf(Math.min(...distances));
}
