// The list of all series: a tree of which only visible rows exist.

import { byId, setText } from "./elements.js";
import { RowView } from "./rows.js";

/** @import { ListRow } from "../types"
 * @import { Store, Track } from "./store.js" */

/** Rows drawn above and below, and seconds of a sparkline. */
const [OVERSCAN, RECENT] = [6, 300];

const { compare } = new Intl.Collator("en", { numeric: true });
const prefixOf = (name) => name.slice(0, Math.max(0, name.indexOf("/")));

export class Values {
	#list = byId("list");
	#body = byId("rows");
	/** @type {ListRow[]} */
	#rows = [];
	#views = new Map();
	#families = [];
	#version = -1;
	#filter = "";
	#toggled = new Set(); // Keys of rows that are not open or closed as at first.
	#current = ""; // Key of the selected row.

	/** @param {Store} store @param {(track: Track) => void} open */
	constructor(store, open) {
		Object.assign(this, { store, open });
		this.#list.addEventListener("scroll", () => this.render());
		this.#body.addEventListener("click", (event) => this.#click(event));
		new ResizeObserver(() => this.#measure()).observe(this.#list);
		this.#measure();
	}

	/** Show the series with all words of a text in name, labels or kind. */
	filter(text) {
		this.#filter = text;
		this.#list.scrollTop = 0;
		this.#arrange();
	}

	render() {
		if (this.#version !== this.store.version) return this.#group();
		const first = Math.max(0, Math.floor(this.#list.scrollTop / this.height) - OVERSCAN);
		const count = Math.ceil(this.#list.clientHeight / this.height) + 2 * OVERSCAN;
		const moment = { store: this.store, span: this.store.span(RECENT), width: this.trendWidth };
		const before = this.#views;
		this.#views = new Map();
		this.#rows.slice(first, first + count).forEach((row, i) => {
			const view = before.get(row.key) ?? new RowView(row, this.#body);
			before.delete(row.key);
			this.#views.set(row.key, view);
			view.place(first + i, this.height, row.key === this.#current);
			view.update(row, moment);
		});
		for (const { node } of before.values()) node.remove();
		this.#list.setAttribute("aria-activedescendant", this.#views.get(this.#current)?.node.id ?? "");
	}

	#measure() {
		const head = this.#list.firstElementChild;
		this.height = parseFloat(getComputedStyle(this.#list).getPropertyValue("--row"));
		this.room = this.#list.clientHeight - head.offsetHeight - this.height;
		this.trendWidth = head.lastElementChild.clientWidth;
		this.#arrange();
	}

	#group() {
		const order = ([a], [b]) => compare(prefixOf(a), prefixOf(b)) || compare(a, b);
		this.#families = [...Map.groupBy(this.store.tracks.values(), ({ series }) => series.name)].sort(order);
		for (const [, tracks] of this.#families) tracks.sort((a, b) => compare(a.labels, b.labels));
		this.#version = this.store.version;
		this.#arrange();
	}

	/** Make and draw the rows of the series that pass the filter. */
	#arrange() {
		const words = this.#filter.toLowerCase().split(/\s+/);
		const rows = [];
		let shown = 0;
		let group;
		for (const [name, all] of this.#families) {
			const tracks = all.filter(({ haystack }) => words.every((word) => haystack.includes(word)));
			if (!tracks.length) continue;
			shown += tracks.length;
			const prefix = prefixOf(name);
			if (group?.title !== prefix) {
				group = this.#row("group", prefix, 1, prefix, [], true);
				rows.push(group);
			}
			group.tracks.push(...tracks);
			if (group.open) rows.push(...this.#familyRows(name, tracks, all));
		}
		this.#rows = rows;
		this.#body.style.height = `${rows.length * this.height}px`;
		this.#list.ariaRowCount = rows.length + 1;
		this.#report(shown);
		this.render();
	}

	#familyRows(name, tracks, all) {
		const title = name.slice(prefixOf(name).length).replace(/^\/(?=.)/, "");
		const rowOf = (track, level, text) => this.#row("series", track.key, level, text, [track], null);
		if (all.length === 1) return [rowOf(all[0], 2, title)];
		// A filter that only some children pass is about these children.
		const family = this.#row("family", name, 2, title, tracks, tracks.length < all.length);
		return family.open ? [family, ...tracks.map((track) => rowOf(track, 3, Object.values(track.series.labels).join(" · ")))] : [family];
	}

	#row(type, name, level, title, tracks, isOpen) {
		const key = `${type} ${name}`;
		return { type, key, level, title, tracks, open: isOpen === null ? null : isOpen !== this.#toggled.has(key) };
	}

	#report(shown) {
		const { boot, tracks, surplus } = this.store;
		const rest = surplus ? `, ${surplus} more not shown` : "";
		setText(byId("count"), `${shown === tracks.size ? "" : `${shown} of `}${tracks.size} series${rest}`);
		byId("empty").hidden = shown || !boot;
	}

	actions = {
		ArrowDown: () => this.#move(1),
		ArrowUp: () => this.#move(-1),
		j: () => this.#move(1),
		k: () => this.#move(-1),
		Home: () => this.#moveTo(0),
		End: () => this.#moveTo(Infinity),
		Enter: () => this.#activate(this.#rows[this.#at]),
		ArrowRight: () => this.#unfold(true),
		ArrowLeft: () => this.#unfold(false),
	};

	get #at() {
		return this.#rows.findIndex(({ key }) => key === this.#current);
	}

	#move(step) {
		this.#moveTo(this.#at + step);
	}

	#moveTo(wanted) {
		const index = Math.max(0, Math.min(this.#rows.length - 1, wanted));
		if (!this.#rows.length) return;
		const top = index * this.height;
		this.#current = this.#rows[index].key;
		this.#list.scrollTop = Math.max(top - this.room, Math.min(top, this.#list.scrollTop));
		this.render();
	}

	/** Expand or collapse a row, or go to its first child or parent. */
	#unfold(isOpen) {
		const row = this.#rows[this.#at];
		if (row?.open === !isOpen) this.#activate(row);
		else if (row?.open) this.#move(1);
		else if (row?.level > 1 && !isOpen) {
			this.#moveTo(this.#rows.slice(0, this.#at).findLastIndex(({ level }) => level < row.level));
		}
	}

	#activate(row) {
		if (!row) return;
		if (row.open === null) return this.open(row.tracks[0]);
		if (!this.#toggled.delete(row.key)) this.#toggled.add(row.key);
		this.#arrange();
	}

	#click({ target }) {
		const node = target.closest("[role=row]");
		const row = this.#rows.find(({ key }) => this.#views.get(key)?.node === node);
		if (!row) return;
		this.#current = row.key;
		this.render();
		this.#activate(row);
	}
}
