// The connection to the program: server-sent events, and their recovery without a reload.

// Milliseconds of an outage that is not shown, until another attempt, and of silence that is one.
const [GRACE, RETRY, SILENCE] = [2500, 1500, 40000];

export class Stream {
	/** @type {"connecting" | "live" | "stopped" | "unreachable"} */
	status = "connecting";
	reason = ""; // Of a stop.
	since = 0; // Begin of an outage in milliseconds; 0 without one.
	#heard = 0;
	#retry = 0;

	/** @param {(event: string, message: object) => void} onMessage
	 * @param {() => void} onStatus called each second, and when `status` may have changed */
	constructor(url, onMessage, onStatus) {
		Object.assign(this, { url, onMessage, onStatus });
		setInterval(() => this.#check(), 1000);
		this.#open();
	}

	#open() {
		clearTimeout(this.#retry);
		this.source?.close();
		this.source = new EventSource(this.url);
		this.source.onopen = () => this.#hear();
		this.source.onerror = () => this.#miss();
		for (const event of ["state", "tick", "lifecycle", "continued", "stopped"]) {
			this.source.addEventListener(event, ({ data }) => this.#receive(event, JSON.parse(data)));
		}
		this.#heard = Date.now();
	}

	#receive(event, message) {
		if (event === "stopped") {
			Object.assign(this, { status: "stopped", reason: message.reason, since: Date.now() });
		} else if (event !== "lifecycle") this.status = "live";
		this.#hear();
		this.onMessage(event, message);
		this.onStatus();
	}

	#hear() {
		this.#heard = Date.now();
		if (this.status !== "stopped") this.since = 0;
	}

	/** Begin an outage. The browser tries again, unless the program has refused it. */
	#miss() {
		this.since ||= Date.now();
		clearTimeout(this.#retry);
		if (this.source.readyState === EventSource.CLOSED) this.#retry = setTimeout(() => this.#open(), RETRY);
		this.#check();
	}

	#check() {
		const now = Date.now();
		if (now - this.#heard > (this.since ? 5000 : SILENCE)) {
			this.since ||= this.#heard;
			this.#open();
		}
		if (this.since && this.status !== "stopped" && now - this.since > GRACE) this.status = "unreachable";
		this.onStatus();
	}
}
