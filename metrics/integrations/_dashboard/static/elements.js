// Elements of the page. Data reaches it as text and attributes alone, never as markup.

export const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes)) if (value != null) node.setAttribute(name, value);
	node.append(...children);
	return node;
}

/** Return a new element, without the attributes that are null. @param {...(Node | string)} children */
export const element = (name, attributes = {}, ...children) =>
	fill(document.createElement(name), attributes, children);

/** Return a new element of SVG. */
export const graphic = (name, attributes, ...children) =>
	fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

/** Set a text unless it is the same, which costs the browser nothing. */
export function setText(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

/** Replace the children of a node; open details, the focus and the place of scrolling stay. */
export function replace(parent, ...children) {
	const open = [...parent.querySelectorAll("details[open]")].map(({ id }) => id);
	const focused = parent.contains(document.activeElement) && document.activeElement.id;
	const { scrollTop, scrollLeft } = parent;
	parent.replaceChildren(...children);
	for (const id of open) byId(id)?.setAttribute("open", "");
	if (focused) byId(focused)?.focus({ preventScroll: true });
	Object.assign(parent, { scrollTop, scrollLeft });
}
