// Sort a table by the column whose heading is clicked: numbers as numbers, a second click the other way round.
for (const table of document.querySelectorAll("table.runs")) {
  const body = table.tBodies[0];
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent.trim().replace("−", "-");
    const number = parseFloat(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    heading.addEventListener("click", () => {
      const direction = heading.dataset.order === "up" ? -1 : 1;
      for (const other of heading.parentNode.cells) delete other.dataset.order;
      heading.dataset.order = direction === 1 ? "up" : "down";
      const rows = [...body.rows].sort((a, b) => direction * compare(value(a, column), value(b, column)));
      body.append(...rows);
    });
  });
}
