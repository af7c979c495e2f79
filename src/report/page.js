'use strict';
/* What the page can do beyond being read: values under the pointer or the arrow keys, the images of a cell of the confusion matrix,
 * tables sorted by a column. Without it everything is still there to read. */
(() => {
	const make = (name, text, parent, css) => {
		const e = document.createElement(name);
		if (text) e.textContent = text;
		if (css) e.className = css;
		if (parent) parent.append(e);
		return e;
	};
	const spoken = make('div', '', document.body, 'unseen');
	spoken.setAttribute('aria-live', 'polite');

	/* ---- charts: the nearest point of data-points, [[x, y, text], ...] in the SVG's units ---- */
	for (const chart of document.querySelectorAll('.chart[data-points]')) {
		const svg = chart.querySelector('svg');
		const points = JSON.parse(chart.dataset.points);
		const along = chart.dataset.axis === 'x';
		const mark = document.createElementNS(svg.namespaceURI, 'circle');
		let tip = null, at = -1;
		mark.setAttribute('r', 5);
		mark.setAttribute('class', 'mark');
		const hide = () => { mark.remove(); if (tip) tip.remove(); tip = null; };
		const show = (i) => {
			const [x, y, text] = points[i];
			const box = svg.getBoundingClientRect(), outer = chart.getBoundingClientRect();
			const scale = box.width / svg.viewBox.baseVal.width;
			if (!tip) tip = make('div', '', chart, 'tip');
			at = i;
			mark.setAttribute('cx', x);
			mark.setAttribute('cy', y);
			svg.append(mark);
			tip.textContent = text;
			const left = box.left - outer.left + x * scale, top = box.top - outer.top + y * scale;
			tip.style.left = Math.max(0, left + 12 + tip.offsetWidth > outer.width ? left - 12 - tip.offsetWidth : left + 12) + 'px';
			tip.style.top = Math.max(0, Math.min(top + 8, outer.height - tip.offsetHeight)) + 'px';
		};
		svg.addEventListener('pointermove', (e) => {
			const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
			const x = (e.clientX - box.left) * scale, y = (e.clientY - box.top) * scale;
			let best = 0, least = Infinity;
			points.forEach((p, i) => {
				const d = along ? Math.abs(p[0] - x) + 1e-3 * Math.abs(p[1] - y) : Math.hypot(p[0] - x, p[1] - y);
				if (d < least) { least = d; best = i; }
			});
			show(best);
		});
		svg.addEventListener('pointerleave', hide);
		svg.addEventListener('blur', hide);
		svg.addEventListener('keydown', (e) => {
			const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[e.key];
			if (e.key === 'Escape') hide();
			if (!step) return;
			e.preventDefault();
			show(at < 0 ? 0 : (at + step + points.length) % points.length);
			spoken.textContent = points[at][2];
		});
	}

	/* ---- the confusion matrix: a cell lists its images ---- */
	const source = document.getElementById('predictions-data');
	const matrix = document.querySelector('.chart.matrix');
	if (source && matrix) {
		const { classes, rows } = JSON.parse(source.textContent);
		const panel = make('div', '', null, 'members');
		const percent = (p) => (100 * p).toFixed(1) + ' %';
		const close = () => {
			panel.remove();
			for (const c of matrix.querySelectorAll('.cell')) c.setAttribute('aria-pressed', 'false');
		};
		const open = (cell) => {
			const [actual, predicted] = cell.dataset.cell.split(',').map(Number);
			const members = rows.filter((r) => r[1] === actual && r[2] === predicted)
				.sort((a, b) => b[3][predicted] - a[3][predicted]);
			close();
			panel.textContent = '';
			cell.setAttribute('aria-pressed', 'true');
			const title = make('h3', '', panel);
			make('span', (actual === predicted ? `${classes[actual]}, classified right` :
				`${classes[actual]} taken for ${classes[predicted]}`) + `: ${members.length}`, title);
			const button = make('button', 'Close', title);
			button.addEventListener('click', () => { close(); cell.focus(); });
			const list = make('ul', '', panel, 'tiles');
			for (const [path, , , p] of members) {
				const item = make('li', '', list);
				const picture = document.querySelector(`tr[data-path="${CSS.escape(path)}"] img`);
				if (picture) make('img', '', item).src = picture.src, item.firstChild.alt = '';
				make('b', percent(p[predicted]), item);
				make('i', path, item);
				item.title = classes.map((c, k) => `${c}: ${percent(p[k])}`).join('\n');
			}
			if (!members.length) make('p', 'None.', panel);
			matrix.after(panel);
			spoken.textContent = title.firstChild.textContent;
		};
		for (const cell of matrix.querySelectorAll('.cell')) {
			cell.setAttribute('tabindex', '0');
			cell.setAttribute('role', 'button');
			cell.setAttribute('aria-pressed', 'false');
			cell.addEventListener('click', () => cell.getAttribute('aria-pressed') === 'true' ? close() : open(cell));
			cell.addEventListener('keydown', (e) => {
				if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); open(cell); }
				if (e.key === 'Escape') close();
			});
		}
	}

	/* ---- sortable tables: data-value, else the text ---- */
	for (const table of document.querySelectorAll('table.sortable')) {
		const heads = [...table.tHead.rows[0].cells];
		const value = (row, i) => row.cells[i].dataset.value ?? row.cells[i].textContent;
		heads.forEach((head, i) => {
			if (head.dataset.sort === undefined) return;
			const text = head.textContent;
			head.textContent = '';
			const button = make('button', text, head);
			button.type = 'button';
			button.addEventListener('click', () => {
				const down = head.getAttribute('aria-sort') === 'ascending';
				for (const h of heads) h.removeAttribute('aria-sort');
				head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
				const number = head.dataset.sort === 'number';
				const rows = [...table.tBodies[0].rows].sort((a, b) => {
					const x = value(a, i), y = value(b, i);
					return (number ? x - y : x.localeCompare(y)) * (down ? -1 : 1);
				});
				table.tBodies[0].append(...rows);
			});
		});
	}
})();
