'use strict';
/* Asks for the state again and again, which the program answers once a second, and shows it. The page holds nothing of its own: opened late or
 * loaded again it shows all so far. */
(() => {
	const $ = (id) => document.getElementById(id);
	const make = (name, text, parent, css) => {
		const e = document.createElement(name);
		if (text) e.textContent = text;
		if (css) e.className = css;
		if (parent) parent.append(e);
		return e;
	};
	const write = (e, text) => { if (e.textContent !== text) e.textContent = text; };
	const known = (x) => typeof x === 'number' && isFinite(x);

	/* ---- numbers for people ---- */
	const count = (n) => Math.round(n).toLocaleString('en-US');
	const percent = (x) => (100 * x).toFixed(1) + ' %';
	const bytes = (n) => n >= 1e9 ? (n / 1e9).toFixed(1) + ' GB' : (n / 1e6).toFixed(0) + ' MB';
	const rate = (x) => x >= 10 ? x.toFixed(0) : x.toFixed(1);
	const small = (x) => x === 0 ? '0' : x >= 0.001 ? String(Number(x.toFixed(5))) : x.toExponential(1);
	const span = (s) => {
		s = Math.max(0, Math.round(s));
		if (s < 60) return s + ' s';
		if (s < 3600) return Math.floor(s / 60) + ' min ' + (s % 60) + ' s';
		return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
	};

	/* Name and value pairs in a list; elements stay, so that nothing flickers. */
	const pairs = (list, items) => {
		items = items.filter((item) => item);
		while (list.children.length > items.length) list.lastChild.remove();
		items.forEach(([name, value], i) => {
			let box = list.children[i];
			if (!box) {
				box = make('div', '', list);
				make('dt', '', box);
				make('dd', '', box);
			}
			write(box.firstChild, name);
			write(box.lastChild, value);
		});
	};

	/* ---- charts ---- */
	const SVG = 'http://www.w3.org/2000/svg', WIDTH = 480, HEIGHT = 270;
	const LEFT = 58, RIGHT = 22, TOP = 44, BOTTOM = 36;
	const draw = (name, attributes, parent, text) => {
		const e = document.createElementNS(SVG, name);
		for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
		if (text !== undefined) e.textContent = text;
		parent.append(e);
		return e;
	};
	/* Round steps of an axis. */
	const ticks = (low, high, most) => {
		const raw = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(raw));
		const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= raw * 0.999);
		const list = [];
		for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) list.push(Number(t.toPrecision(12)));
		return list;
	};
	const spoken = make('div', '', document.body, 'unseen');
	spoken.setAttribute('aria-live', 'polite');

	/* options: title, x (name of the axis), at, curves [{name, values, k, raw, dots}], marks [x of a line], low, high, say(value), atText(x) */
	class Chart {
		constructor(id) {
			this.box = $(id);
			this.svg = draw('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', tabindex: 0 }, this.box);
			this.index = -1;
			this.svg.addEventListener('pointermove', (e) => {
				if (!this.o || !this.o.at.length) return;
				const box = this.svg.getBoundingClientRect();
				const x = (e.clientX - box.left) * WIDTH / box.width;
				let best = 0;
				this.o.at.forEach((v, i) => {
					if (Math.abs(this.x(v) - x) < Math.abs(this.x(this.o.at[best]) - x)) best = i;
				});
				this.point(best);
			});
			const leave = () => { this.index = -1; this.tip(); };
			this.svg.addEventListener('pointerleave', leave);
			this.svg.addEventListener('blur', leave);
			this.svg.addEventListener('keydown', (e) => {
				const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
				if (e.key === 'Escape') leave();
				if (!step || !this.o || !this.o.at.length) return;
				e.preventDefault();
				const n = this.o.at.length;
				this.point(this.index < 0 ? (step > 0 ? 0 : n - 1) : (this.index + step + n) % n);
				spoken.textContent = this.text();
			});
		}
		point(i) { this.index = i; this.tip(); }
		text() {
			const o = this.o, i = this.index;
			return [o.atText(o.at[i]), ...o.curves.filter((c) => !c.raw && known(c.values[i])).map((c) => `${c.name}: ${o.say(c.values[i])}`)].join('\n');
		}
		tip() {
			if (this.index < 0 || !this.o || this.index >= this.o.at.length) {
				if (this.label) this.label.remove();
				this.label = null;
				if (this.line) this.line.remove();
				return;
			}
			const x = this.x(this.o.at[this.index]), box = this.svg.getBoundingClientRect(), outer = this.box.getBoundingClientRect();
			if (!this.label) this.label = make('div', '', this.box, 'tip');
			this.label.textContent = this.text();
			if (this.line) this.line.remove();
			this.line = draw('line', { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM, class: 'even' }, this.svg);
			const left = box.left - outer.left + x * box.width / WIDTH, wide = this.label.offsetWidth;
			this.label.style.left = Math.max(0, left + 12 + wide > outer.width ? left - 12 - wide : left + 12) + 'px';
			this.label.style.top = TOP * box.width / WIDTH + 'px';
		}
		show(o) {
			this.o = o;
			const all = o.curves.flatMap((c) => c.values).filter(known);
			const first = o.at.length ? o.at[0] : 0, last = o.at.length ? o.at[o.at.length - 1] : 1;
			const from = o.from ?? first, to = Math.max(last, o.to ?? last, from + 1e-9);
			let low = o.low ?? Math.min(...all), high = o.high ?? Math.max(...all);
			if (!all.length) { low = 0; high = 1; }
			if (!(high > low)) high = low + (Math.abs(low) || 1) * 0.1;
			this.x = (v) => LEFT + (v - from) / (to - from || 1) * (WIDTH - LEFT - RIGHT);
			const y = (v) => HEIGHT - BOTTOM - (Math.min(Math.max(v, low), high) - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
			this.svg.replaceChildren();
			this.line = null;
			draw('text', { x: LEFT, y: 16, class: 'title' }, this.svg, o.title);
			let key = LEFT;
			for (const c of o.curves.length > 1 ? o.curves : []) {
				draw('line', { x1: key, x2: key + 20, y1: 30, y2: 30, class: `k${c.k}` + (c.raw ? ' raw' : ''), 'stroke-width': 2 }, this.svg);
				draw('text', { x: key + 26, y: 34, class: 'soft' }, this.svg, c.name);
				key += 40 + c.name.length * 7.5;
			}
			for (const t of ticks(low, high, 5)) {
				draw('line', { x1: LEFT, x2: WIDTH - RIGHT, y1: y(t), y2: y(t), class: 'grid' }, this.svg);
				draw('text', { x: LEFT - 6, y: y(t) + 4, class: 'soft end' }, this.svg, o.tick ? o.tick(t) : String(t));
			}
			for (const t of ticks(from, to, 6)) {
				if (o.whole && t !== Math.round(t)) continue;
				draw('text', { x: this.x(t), y: HEIGHT - BOTTOM + 16, class: 'soft middle' }, this.svg, o.xTick ? o.xTick(t) : count(t));
			}
			draw('text', { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 5, class: 'soft middle' }, this.svg, o.x);
			for (const m of o.marks || [])
				draw('line', { x1: this.x(m), x2: this.x(m), y1: TOP, y2: HEIGHT - BOTTOM, class: 'even' }, this.svg);
			for (const c of o.curves) {
				const points = o.at.map((a, i) => known(c.values[i]) ? `${this.x(a).toFixed(1)},${y(c.values[i]).toFixed(1)}` : '').filter(Boolean);
				draw('polyline', { points: points.join(' '), class: `k${c.k}` + (c.raw ? ' raw' : '') }, this.svg);
				if (c.dots && points.length <= 60)
					for (const p of points) draw('circle', { cx: p.split(',')[0], cy: p.split(',')[1], r: 3, class: `dot k${c.k}` }, this.svg);
			}
			const ends = o.curves.filter((c) => !c.raw && c.values.some(known)).map((c) => `${c.name} ${o.say(c.values.filter(known).at(-1))}`);
			this.svg.setAttribute('aria-label', `${o.title}: ${ends.length ? 'last ' + ends.join(', ') : 'nothing yet'}`);
			if (this.index >= 0) this.tip();
		}
	}
	const charts = {};
	const chart = (id) => charts[id] ??= new Chart(id);
	/* A running mean, as TensorBoard smooths: the share of the past grows to 0.9. */
	const smooth = (values) => {
		let mean = 0, weight = 0;
		return values.map((v) => {
			if (known(v)) { mean = 0.9 * mean + 0.1 * v; weight = 0.9 * weight + 0.1; }
			return weight ? mean / weight : null;
		});
	};

	/* ---- parts of the page ---- */
	const STATES = { running: 'running', done: 'done', stopped: 'stopped', failed: 'failed' };
	const MARKS = { done: '✓', running: '●', stopped: '✗', 'to come': '○' };

	const showNow = (s) => {
		const p = s.progress, t = s.training, running = s.phases.find((phase) => phase.state === 'running');
		const validating = p && t.step && p.unit === 'steps' && p.done >= p.total;
		let what = running ? `Phase ${running.number}: ${running.title}` : s.state === 'running' ? 'Starting' : 'Ended';
		if (p && running) what += ` · ${p.what}` + (validating ? ', validating' : '');
		write($('what'), what);
		if (p && p.total > 0) $('bar').value = p.done / p.total;
		else if (s.state === 'running') $('bar').removeAttribute('value');
		else $('bar').value = 1;
		const speed = p && p.seconds > 0 ? p.done / p.seconds : 0;
		const training = running && running.number === 8 && t.step;
		pairs($('rates'), [
			['Since the start', span(s.seconds)],
			p && p.total > 0 && [p.unit === 'steps' ? 'Steps of this epoch' : `${p.unit[0].toUpperCase()}${p.unit.slice(1)}`, `${count(p.done)} of ${count(p.total)}`],
			p && !training && speed > 0 && [`${p.unit[0].toUpperCase()}${p.unit.slice(1)} a second`, rate(speed)],
			p && !training && speed > 0 && p.done < p.total && ['Time left', span((p.total - p.done) / speed)],
			training && ['Images a second', known(t.images_per_second) ? rate(t.images_per_second) : '–'],
			training && ['Milliseconds a step', rate(t.ms_per_step)],
			training && ['Learning rate', small(t.learning_rate)],
			training && known(t.seconds_left_of_stage) && s.stages.length && ['Left of this stage', span(t.seconds_left_of_stage)],
			training && known(t.seconds_left) && ['Left of the training', span(t.seconds_left)],
			['Processor', `${percent(s.machine.cpu)} of ${s.machine.cores}`],
			['Memory', bytes(s.machine.memory)],
		]);
		$('now').hidden = s.state !== 'running';
		document.title = `${s.state === 'running' ? (p && p.total > 0 ? Math.floor(100 * p.done / p.total) + ' % · ' : '') + (running ? running.title : '') : s.state} · brainmri`;
	};

	const showPhases = (s) => {
		const list = $('phases').querySelector('ol');
		const shown = s.command === 'run' ? s.phases : s.phases.filter((p) => p.state !== 'to come');
		$('phases').hidden = !shown.length;
		while (list.children.length > shown.length) list.lastChild.remove();
		shown.forEach((p, i) => {
			let item = list.children[i];
			if (!item) {
				item = make('li', '', list);
				make('i', '', item).setAttribute('aria-hidden', 'true');
				for (const name of ['b', 'span', 'span']) make(name, '', item);
			}
			const [mark, number, title, time] = item.children;
			item.className = p.state === 'to come' ? 'ahead' : p.state;
			if (p.state === 'running') item.setAttribute('aria-current', 'step');
			else item.removeAttribute('aria-current');
			write(mark, MARKS[p.state]);
			write(number, String(p.number));
			write(title, p.title);
			write(time, p.state === 'to come' ? 'to come' : (p.state === 'stopped' ? 'stopped, ' : '') + (p.seconds < 1 ? p.seconds.toFixed(1) + ' s' : span(p.seconds)));
		});
	};

	const showTraining = (s) => {
		$('curves').hidden = !s.steps.at.length && !s.epochs.at.length;
		if ($('curves').hidden) return;
		const stage = s.stages.at(-1), n = stage ? stage.numbers : {};
		write($('stage'), stage ? `Stage ${stage.number}: ${stage.title}. ${n.epochs} epoch${n.epochs === 1 ? '' : 's'} of ${count(n.batches)} steps, ` +
			`${n.batch} images a step, ${n.image_size} x ${n.image_size} pixels.` : '');
		const loss = (v) => v.toFixed(4), marks = s.stages.slice(1).map((g) => g.numbers.steps_before + 0.5);
		const byStep = (values, more) => ({ x: 'step', at: s.steps.at, marks, atText: (a) => `step ${count(a)}`, whole: true,
			curves: [{ name: 'batch', values, k: 4, raw: true }, { name: 'smoothed', values: smooth(values), k: 0 }], ...more });
		const atEpoch = s.stages.slice(1).map((g) => g.numbers.epochs_before + 0.5);
		const byEpoch = (name, more) => ({ x: 'epoch', at: s.epochs.at, marks: atEpoch, atText: (a) => `epoch ${a}`, whole: true, from: 0.5,
			to: Math.min(n.epochs_of_all_stages ?? 1, Math.max(10, 2 * s.epochs.at.length)) + 0.5,
			curves: [{ name: 'training', values: s.epochs[name], k: 0, dots: true }, { name: 'validation', values: s.epochs['val_' + name], k: 1, dots: true }], ...more });
		const share = { low: 0, high: 1, say: percent, tick: (t) => Math.round(100 * t) + ' %' };
		chart('step-loss').show(byStep(s.steps.loss, { title: 'Loss by step', low: 0, say: loss }));
		chart('step-accuracy').show(byStep(s.steps.accuracy, { title: 'Accuracy by step', ...share }));
		chart('epoch-loss').show(byEpoch('loss', { title: 'Loss by epoch', low: 0, say: loss }));
		chart('epoch-accuracy').show(byEpoch('accuracy', { title: 'Accuracy by epoch', ...share }));
	};

	const showMachine = (s) => {
		const c = s.machine.curves, base = { x: 'time', at: c.at, from: 0, atText: span, xTick: span };
		chart('cpu').show({ ...base, title: `Processor, of ${s.machine.cores} cores`, curves: [{ name: 'processor', values: c.cpu, k: 2 }], low: 0, high: Math.max(1, ...c.cpu),
			say: percent, tick: (t) => Math.round(100 * t) + ' %' });
		chart('memory').show({ ...base, title: 'Memory', curves: [{ name: 'memory', values: c.memory.map((m) => m / 1e6), k: 3 }], low: 0,
			say: (mb) => bytes(1e6 * mb), tick: (t) => t >= 1000 ? t / 1000 + ' GB' : t + ' MB' });
	};

	const showCluster = (s) => {
		$('cluster').hidden = !s.cluster;
		if (!s.cluster) return;
		const line = $('cluster').querySelector('p'), page = s.cluster.page, n = s.cluster.numbers;
		if (line.dataset.page !== page) {
			line.dataset.page = page;
			line.textContent = page ? 'Spark’s own page of this job: ' : '';
			if (/^https?:\/\//.test(page)) {
				const link = make('a', page, line);
				link.href = page;
				link.rel = 'noreferrer noopener';
				link.target = '_blank';
			}
		}
		pairs($('cluster').querySelector('dl'), [
			['Stage', String(n.stage)], ['Tasks done', `${count(n.complete)} of ${count(n.tasks)}`], ['Running', count(n.running)], ['Failed', count(n.failed)]]);
	};

	const showWarnings = (s) => {
		const list = $('warnings').querySelector('ul');
		$('warnings').hidden = !s.warnings.length;
		const shown = (s.warnings_dropped ? [`${s.warnings_dropped} earlier ones: see log.txt`] : []).concat(s.warnings);
		while (list.children.length > shown.length) list.lastChild.remove();
		shown.forEach((text, i) => write(list.children[i] ?? make('li', '', list), text));
	};

	const showLines = (s) => {
		const box = $('lines').querySelector('pre'), below = box.scrollHeight - box.scrollTop - box.clientHeight < 8;
		$('lines').hidden = !s.lines.length;
		write(box, s.lines.join('\n'));
		if (below) box.scrollTop = box.scrollHeight;
	};

	const showEnd = (s) => {
		const box = $('end'), ended = s.state !== 'running';
		box.hidden = !ended;
		if (!ended) return;
		const n = s.phases[8].numbers, trained = s.epochs.val_accuracy.filter(known);
		box.className = 'end ' + s.state;
		write(box.querySelector('h2'), { done: 'Done', failed: 'Failed', stopped: 'Stopped' }[s.state] + ` after ${span(s.seconds)}`);
		write(box.querySelector('p'), s.state !== 'done' ? s.message : s.report ? `The report: ${s.report}` : s.folder ? `The results are in ${s.folder}` : '');
		pairs(box.querySelector('dl'), s.state !== 'done' ? [] : [
			known(n.accuracy) && ['Test accuracy', percent(n.accuracy)],
			known(n.test_samples) && ['Test images', count(n.test_samples)],
			known(n.macro_f1) && ['F1, mean of the classes', n.macro_f1.toFixed(4)],
			known(n.mean_auc) && ['AUC, mean of the classes', n.mean_auc.toFixed(4)],
			trained.length && ['Best validation accuracy', percent(Math.max(...trained))],
		]);
	};

	/* ---- images ---- */
	let pictures = 0, fetching = false;
	const showPictures = async (s) => {
		$('pictures').hidden = !pictures && !s.pictures;
		const a = (s.stages.at(-1) ?? { numbers: {} }).numbers;
		const changes = [a.augmentation_flip && 'left and right swapped half the time', a.augmentation_rotation && `turned by up to ${small(a.augmentation_rotation)}°`,
			a.augmentation_shift && `moved by up to ${percent(a.augmentation_shift)}`, a.augmentation_zoom && `scaled by up to ${percent(a.augmentation_zoom)}`,
			a.augmentation_brightness && `brightness ±${small(a.augmentation_brightness)}`, a.augmentation_contrast && `contrast ±${small(a.augmentation_contrast)}`].filter(Boolean);
		write($('augmentation'), `From one of the last steps: left as it is in the data, right as the network gets it${changes.length ? ' (' + changes.join(', ') + ')' : ', not augmented'}; ` +
			'its label, and what the network took it for.');
		if (s.pictures === pictures || s.state !== 'running' || fetching) return;
		fetching = true;
		try {
			const answer = await fetch('pictures.json');
			if (!answer.ok) return;
			const got = await answer.json(), list = $('pictures').querySelector('ul');
			pictures = got.number;
			while (list.children.length > got.pictures.length) list.lastChild.remove();
			got.pictures.forEach((p, i) => {
				let item = list.children[i];
				if (!item) {
					item = make('li', '', list);
					const both = make('div', '', item, 'both');
					make('img', '', both);
					make('img', '', both);
					make('b', '', item);
					make('i', '', item);
				}
				const [original, image] = item.querySelectorAll('img'), right = p.answer === p.label;
				original.src = p.original ?? '';
				original.alt = `${p.label}, as it is`;
				image.src = p.image ?? '';
				image.alt = `${p.label}, as the network gets it`;
				write(item.children[1], p.label ?? '');
				write(item.children[2], p.answer ? `${right ? '✓' : '✗'} ${p.answer}, ${percent(p.probability)}` : '');
				item.children[2].className = right ? 'right' : 'wrong';
			});
		} catch {
			/* the next state tells */
		} finally {
			fetching = false;
		}
	};

	const show = (s) => {
		write($('command'), `brainmri ${s.command}`);
		write($('state'), STATES[s.state]);
		$('state').className = 'state ' + s.state;
		write($('folder'), s.folder ?? '');
		for (const part of [showEnd, showNow, showWarnings, showPhases, showCluster, showTraining, showPictures, showMachine, showLines]) part(s);
	};

	/* ---- the state, again and again ---- */
	let latest = null;
	document.addEventListener('visibilitychange', () => { if (!document.hidden && latest) show(latest); });
	const pause = (ms) => new Promise((done) => setTimeout(done, ms));
	const follow = async () => {
		let after = 0, misses = 0;
		for (;;) {
			try {
				const answer = await fetch(`state.json?after=${after}`);
				if (!answer.ok) throw new Error(answer.status);
				latest = await answer.json();
				after = latest.version;
				misses = 0;
			} catch {
				misses++;
				write($('state'), 'no answer');
				$('state').className = 'state lost';
				if (misses > 20) return;
				await pause(Math.min(1000 * misses, 10000));
				continue;
			}
			if (!document.hidden || latest.state !== 'running') show(latest);
			if (latest.state !== 'running') return;
		}
	};
	follow();
})();
