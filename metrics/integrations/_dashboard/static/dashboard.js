// The live page: messages come in, one drawing for each frame goes out.

import { readColors } from "./charts.js";
import { Detail } from "./detail.js";
import { byId, setText } from "./elements.js";
import { duration } from "./format.js";
import { Inside, updateAges } from "./inside.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";
import { Values } from "./values.js";

const store = new Store();
const detail = new Detail(store);
const values = new Values(store, (track) => detail.open(track));
const inside = new Inside();
const stream = new Stream(new URL("events", import.meta.url), receive, showConnection);

let handled = Promise.resolve();
let program = null;
let workers = [];
let ahead = 0; // Seconds of the program's clock before the browser's.
let isPaused = false;
let isScheduled = false;

/** Handle messages in order: those after a state wait for its history. */
function receive(event, message) {
	handled = handled.then(() => handlers[event]?.(message)).catch(console.error).then(schedule);
}

const handlers = {
	state: begin,
	tick(message) {
		workers = message.workers ?? workers;
		store.tick(message);
		inside.update(message);
	},
	lifecycle: (message) => inside.change(message),
};

function begin(state) {
	program = state;
	workers = state.workers ?? [];
	ahead = state.time - Date.now() / 1000;
	store.begin(state);
	inside.begin(state);
	schedule();
	return loadHistory();
}

async function loadHistory() {
	try {
		const answer = await fetch(new URL("history.json", import.meta.url), { signal: AbortSignal.timeout(9000) });
		if (answer.ok) store.remember(await answer.json());
	} catch {
		// The present is shown without its past.
	}
}

/** Draw in the next frame, after however many messages. */
function schedule() {
	if (isScheduled || isPaused) return;
	isScheduled = true;
	requestAnimationFrame(() => {
		isScheduled = false;
		values.render();
		detail.render();
		inside.render();
		showProgram();
	});
}

function showProgram() {
	if (!program || isPaused) return;
	const now = (stream.since || Date.now()) / 1000 + ahead;
	const about = [program.program, `pid ${program.pid}`, `up ${duration(program.uptime + now - program.time)}`];
	if (workers.length) about.push(`${workers.filter(({ up }) => up).length} of ${workers.length} workers`);
	setText(byId("about"), about.join(" · "));
	byId("about").title = workers.map(({ pid, up }) => `pid ${pid}: ${up ? "running" : "stopped"}`).join("\n");
	byId("state").hidden = !inside.state;
	setText(byId("state"), inside.state.toLowerCase());
	byId("state").dataset.state = inside.state;
	byId("late").hidden = !store.late.length;
	setText(byId("late"), `The values are late: ${store.late.join(", ")} hangs.`);
	updateAges(now);
}

/** Show the connection; its changes are announced, and not each second. */
function showConnection() {
	const { status, since, reason } = stream;
	const shown = isPaused && status === "live" ? "paused" : status;
	byId("connection").dataset.status = shown;
	setText(byId("connection"), shown === "unreachable" ? "unreachable, retrying" : shown);
	const lasts = `since ${duration((Date.now() - since) / 1000)}`;
	setText(byId("outage"), { stopped: `${reason}, ${lasts}`, unreachable: lasts }[shown] ?? "");
	showProgram();
}

function pause() {
	isPaused = !isPaused;
	byId("pause").ariaPressed = isPaused;
	showConnection();
	schedule();
}

function show(view) {
	document.body.dataset.view = view;
	for (const button of document.querySelectorAll("nav [data-view]")) button.ariaPressed = button.dataset.view === view;
}

const filter = () => values.filter(byId("filter").value);

const keys = {
	"/": () => byId("filter").focus(),
	"?": () => byId("keys").showModal(),
	p: pause,
	v: () => show(document.body.dataset.view === "values" ? "inside" : "values"),
	j: () => byId("list").focus(),
	k: () => byId("list").focus(),
};

const filterKeys = {
	ArrowDown: keys.j,
	Enter: keys.j,
	Escape() {
		byId("filter").value = "";
		filter();
	},
};

document.addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
	const { key, target: { id } } = event;
	const action = (id === "list" && values.actions[key]) || (id === "filter" ? filterKeys : keys)[key];
	if (!action) return;
	event.preventDefault();
	action();
});
document.addEventListener("click", ({ target }) => {
	if (target.matches("dialog")) target.close();
	else if (target.matches("nav [data-view]")) show(target.dataset.view);
});
byId("filter").addEventListener("input", filter);
byId("pause").addEventListener("click", pause);
byId("help").addEventListener("click", keys["?"]);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
	readColors();
	schedule();
});
readColors();
