// Tables sort by the column whose header is pressed: numbers by data-value, largest first, text by name.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () => {
    const text = head.classList.contains("text");
    const down = head.ariaSort ? head.ariaSort === "ascending" : !text;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.ariaSort = down ? "descending" : "ascending";
    const key = (row) => row.cells[i].dataset.value ?? "";
    const order = (a, b) => text ? key(a).localeCompare(key(b)) : (key(a) === "" ? -Infinity : +key(a)) - (key(b) === "" ? -Infinity : +key(b));
    body.append(...[...body.rows].sort((a, b) => (down ? -order(a, b) : order(a, b))));
  }));
}
