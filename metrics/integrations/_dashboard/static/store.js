// Series, their values, and their history in rings of numbers.

/** @import { History, Series, Span, StateMessage, TickMessage } from "../types" */

/** Seconds of history, and most points. */
export const HISTORY = 900;

const QUANTILES = ["count", "p50", "p95", "p99", "mean", "min", "max"];
const RATES = ["1 min", "5 min", "15 min"];
const DISTRIBUTION = ["distribution", ...QUANTILES];
/** Shape of a kind's values, and their names. */
const KINDS = {
	Counter: ["rate", "count"],
	FloatCounter: ["rate", "count"],
	Meter: ["rate", "count", ...RATES],
	Info: ["text", "text"],
	StateSet: ["text", "text"],
	Histogram: DISTRIBUTION,
	BucketHistogram: DISTRIBUTION,
	ResettingTimer: DISTRIBUTION,
	Timer: [...DISTRIBUTION, ...RATES],
};
const COLUMNS = { rate: 1, level: 1, text: 0, distribution: 4 };

export class Track {
	values = [];
	changed = -1; // Tick of the last change.

	/** @param {Series} series */
	constructor(series, capacity) {
		[this.shape, ...this.names] = KINDS[series.kind] ?? ["level", "value"];
		this.series = series;
		this.labels = Object.entries(series.labels).map((label) => label.join("=")).join("  ");
		this.key = [series.name, this.labels, series.kind].join("\n");
		this.haystack = this.key.toLowerCase();
		this.clear(capacity);
	}

	clear(capacity) {
		this.columns = Array.from({ length: COLUMNS[this.shape] }, () => new Float64Array(capacity).fill(NaN));
		this.heat = Array(this.shape === "distribution" ? capacity : 0).fill(null);
	}

	write(slot, values, heat = null) {
		this.columns.forEach((column, i) => { column[slot] = values[i] ?? NaN; });
		if (this.heat.length) this.heat[slot] = heat;
	}

	value(name) {
		return this.values[this.names.indexOf(name)] ?? null;
	}
}

export class Store {
	boot = "";
	interval = 5;
	surplus = 0;
	late = [];
	full = new Set(); // Names of families at their cap.
	/** @type {Map<number, Track>} */
	tracks = new Map();
	ticks = 0;
	version = 0; // Of the set of series.
	#times = new Float64Array(2);
	#head = 0;
	#length = 0;

	/** Take a state; the history of another process is dropped. @param {StateMessage} state */
	begin({ boot, interval, series, values, ...others }) {
		const isSame = boot === this.boot && interval === this.interval;
		const before = isSame ? this.tracks : new Map();
		Object.assign(this, { boot, interval, tracks: new Map(), full: new Set() });
		if (!isSame) this.#clear();
		this.#add(series, before);
		this.#set(values, -1);
		this.#note(others);
	}

	/** @param {TickMessage} tick */
	tick({ time, values = {}, heat = {}, added = [], removed = [], ...others }) {
		this.ticks += 1;
		for (const id of removed) this.tracks.delete(id);
		if (added.length || removed.length) this.#add(added, this.tracks);
		this.#set(values, this.ticks);
		this.#note(others);
		if (!this.late.length) this.#append(time, (id, track) => track.values, (id) => heat[id]);
	}

	/** @param {History} history */
	remember({ boot, times, series, heat }) {
		if (boot !== this.boot) return;
		this.#clear();
		times.forEach((time, i) => {
			this.#append(time, (id) => series[id]?.map((column) => column[i]), (id) => heat[id]?.[i]);
		});
	}

	get newest() {
		return this.#length ? this.#times[this.#head] : 0;
	}

	/** @returns {Span} the last seconds */
	span(seconds) {
		const capacity = this.#times.length;
		const [to, step] = [this.newest, this.interval];
		const slots = [];
		for (let back = 0; back < this.#length; back += 1) {
			const slot = (this.#head - back + capacity) % capacity;
			if (this.#times[slot] < to - seconds - step / 2) break;
			slots.unshift(slot);
		}
		const times = slots.map((slot) => this.#times[slot]);
		// A young history fills the width after a minute.
		return { slots, times, from: Math.max(to - seconds, Math.min(times[0], to - 60)), to, step };
	}

	/** Return rates per second; a counter that was reset has none for that tick. @param {Span} span */
	rates({ columns: [counts] }, { slots, times }) {
		return slots.map((slot, i) => {
			const grown = i ? counts[slot] - counts[slots[i - 1]] : NaN;
			return grown < 0 ? NaN : grown / (times[i] - times[i - 1]);
		});
	}

	rate(track) {
		return this.meanRate(track, this.interval) ?? track.value("1 min");
	}

	/** Return the mean rate of the last seconds. */
	meanRate(track, seconds) {
		const known = this.rates(track, this.span(seconds)).filter((rate) => !Number.isNaN(rate));
		return known.length ? sum(known) / known.length : null;
	}

	#clear() {
		const capacity = Math.max(2, Math.min(HISTORY, Math.ceil(HISTORY / this.interval)));
		this.#times = new Float64Array(capacity);
		this.#length = 0;
		for (const track of this.tracks.values()) track.clear(capacity);
	}

	#append(time, valuesOf, heatOf) {
		if (time <= this.newest) return; // The history had it already.
		const capacity = this.#times.length;
		this.#head = (this.#head + 1) % capacity;
		this.#length = Math.min(this.#length + 1, capacity);
		this.#times[this.#head] = time;
		for (const [id, track] of this.tracks) track.write(this.#head, valuesOf(id, track) ?? [], heatOf(id));
	}

	#add(list, before) {
		for (const series of list) {
			const track = before.get(series.id) ?? new Track(series, this.#times.length);
			this.tracks.set(series.id, Object.assign(track, { series }));
			if (series.overflow) this.full.add(series.name);
		}
		this.version += 1;
	}

	#set(values, tick) {
		for (const [id, row] of Object.entries(values)) {
			const track = this.tracks.get(Number(id));
			if (track) Object.assign(track, { values: row, changed: tick });
		}
	}

	#note({ overflow, surplus, late = [] }) {
		this.late = late;
		this.surplus = surplus ?? this.surplus;
		if (!overflow) return;
		this.full = new Set(overflow.map((id) => this.tracks.get(id)?.series.name));
		this.version += 1;
	}
}

export const sum = (values) => values.reduce((a, b) => a + b, 0);

/** Return the numbers of a column. @param {Span} span */
export const levels = ({ columns }, i, { slots }) => slots.map((slot) => columns[i][slot]);
