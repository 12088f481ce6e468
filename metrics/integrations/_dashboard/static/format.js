// Numbers, durations and times for people.

const PREFIXES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
const TIMES = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
const SYMBOLS = { seconds: "s", bytes: "B", percent: "%" };

const isMissing = (value) => value == null || Number.isNaN(value);

/** Return three digits; integers below 10,000 are exact. */
function digits(value) {
	const size = Math.abs(value);
	if (Number.isInteger(value) && size < 1e4) return String(value);
	if (size < 1e-4) return value.toExponential(1);
	if (size < 1) return String(Number(value.toPrecision(2)));
	return value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

function scaled(value, unit) {
	const size = Math.abs(value);
	const isShort = Number.isInteger(value) && size < 1e4 && unit !== "B";
	const [factor, prefix] = (!isShort && PREFIXES.find(([least]) => size >= least)) || [1, ""];
	return `${digits(value / factor)}\u00a0${prefix}${unit}`.trim();
}

function seconds(value) {
	const size = Math.abs(value) || 1;
	const [factor, unit] = TIMES.find(([least]) => size >= least) ?? TIMES.at(-1);
	return `${digits(value / factor)}\u00a0${unit}`;
}

/** Return a number with its unit, such as 3.4 ms or 12.5 MB. */
export function quantity(value, unit = "") {
	if (isMissing(value)) return "–";
	if (typeof value === "string") return value;
	return unit === "seconds" ? seconds(value) : scaled(value, SYMBOLS[unit] ?? unit);
}

export const rate = (value, unit = "") => (isMissing(value) ? "–" : scaled(value, `${SYMBOLS[unit] ?? unit}/s`));

export const exact = (value, unit = "") => (isMissing(value) ? "no value" : `${value} ${unit}`.trim());

/** Return a duration such as 3 h 12 min. */
export function duration(value) {
	const whole = Math.max(0, Math.floor(value));
	const first = TIMES.findIndex(([size]) => size <= (whole || 1));
	const parts = TIMES.slice(first, Math.min(first + 2, 4)).map(([size, unit], i) =>
		[Math.floor((i ? whole % TIMES[first][0] : whole) / size), unit]);
	return parts.filter(([count], i) => !i || count).map((part) => part.join("\u00a0")).join(" ");
}

/** Return a time of day. @param {number} time in Unix seconds */
export const clock = (time, isShort = false) => new Date(time * 1000).toTimeString().slice(0, isShort ? 5 : 8);
