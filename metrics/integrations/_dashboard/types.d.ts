// Types of the live page's messages and of its modules in static/. They are not served.

/** One series, as the program describes it. */
export interface Series {
	id: number;
	name: string;
	labels: Record<string, string>;
	/** Class of the instrument, such as "Timer". */
	kind: string;
	/** "seconds", "bytes", another one or none. */
	unit: string;
	description: string;
	/** The child that counts for all beyond the cap of its family. */
	overflow?: boolean;
}

/** Values in the order of the kind's columns; those that are missing are null. */
export type Row = (number | string | null)[];

/** Observations of a tick: pairs of a bucket's index and a count. A bucket begins at 2 ** (index / 2). */
export type Heat = [index: number, count: number][];

export interface Failure {
	type: string;
	message: string;
	/** Only of a resource, not of an event. */
	stack?: string;
}

export type State = "NEW" | "STARTING" | "RUNNING" | "STOPPING" | "STOPPED" | "FAILED";

/** Times are Unix seconds; durations are seconds. */
export interface Resource {
	name: string;
	state: State;
	asynchronous: boolean;
	/** Whether another container starts and stops it. */
	borrowed: boolean;
	needs: string[];
	hook: string;
	started: number | null;
	seconds: number | null;
	error: Failure | null;
}

export interface Change {
	time: number;
	resource: string;
	state: State;
	previous: State;
	seconds: number | null;
	error: Failure | null;
}

export interface Container {
	name: string;
	state: State;
	resources: Resource[];
	events: Change[];
}

export interface Health {
	name: string;
	error: string | null;
	since: number;
	checked: number;
	description: string;
}

export interface Reporter {
	name: string;
	target: string;
	sent: number;
	failed: number;
	dropped: number;
	pending: number;
	oldest: number | null;
	error: string | null;
	since: number | null;
}

export interface Worker {
	number: number;
	pid: number | null;
	up: boolean;
}

/** Parts of a message that are sent when they have changed. */
interface Differences {
	time: number;
	values: Record<string, Row>;
	heat?: Record<string, Heat>;
	/** Ids of the series whose families are at their cap. */
	overflow?: number[];
	/** Number of series beyond the bound, which are not sent. */
	surplus?: number;
	/** Names of the instruments that delay the values. */
	late?: string[];
	health?: Health[];
	reporters?: Reporter[];
	workers?: Worker[] | null;
}

export interface StateMessage extends Differences {
	version: 1;
	/** Identity of the process; another one has other ids. */
	boot: string;
	interval: number;
	title: string;
	program: string;
	pid: number;
	uptime: number;
	series: Series[];
	container: Container | null;
}

export interface TickMessage extends Differences {
	added?: Series[];
	removed?: number[];
	/** State of the container. */
	state?: State;
}

export interface LifecycleMessage {
	time: number;
	event: Change;
	node: Resource | null;
	state: State;
}

/** history.json; the lists of numbers and of heat have the length of `times`. */
export interface History {
	boot: string;
	times: number[];
	series: Record<string, (number | null)[][]>;
	heat: Record<string, (Heat | null)[]>;
}

/** Slots of the store's ring, the oldest first, and their times. */
export interface Span {
	slots: number[];
	times: number[];
	from: number;
	to: number;
	step: number;
}

export interface Line {
	label: string;
	color: string;
	/** One for each time of the span; NaN is a gap. */
	values: number[];
}

/** Width and height in CSS pixels. */
export type Size = [width: number, height: number];

export interface Axes {
	format: (value: number) => string;
	/** Index of the crosshair's time, -1 without one. */
	cursor: number;
}

/** One row of the list, drawn or not. */
export interface ListRow {
	type: "group" | "family" | "series";
	key: string;
	level: number;
	title: string;
	tracks: import("./static/store.js").Track[];
	/** null if there is nothing below. */
	open: boolean | null;
}
