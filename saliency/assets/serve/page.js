'use strict';
const $ = id => document.getElementById(id);
const COLOURS = ['#b3401f', '#0b6e99', '#4d7c2a', '#7b4fa3', '#a8780c', '#0f7f74', '#a33b6b', '#5b6470'];
const LONGEST_RECORDING = 30;
let facts = null;     // of the server
let video = null;     // the upload, as the server tells of it
let regions = [];     // {name, x, y, width, height} in pixels of the video
let sequence = 0;     // rises with every video, so that late answers about an older one are dropped

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    throw new Error('The page does not answer any more. Is it still running?');
  }
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error || `The page answered with error ${answer.status}.`);
  return told;
}

function show(id, shown = true) { $(id).hidden = !shown; }
function warn(id, message) { $(id).textContent = message; show(id, Boolean(message)); }
function plural(count, what) { return `${count} ${what}${count === 1 ? '' : 's'}`; }

async function begin() {
  facts = await ask('api');
  $('version').textContent = `video-saliency ${facts.version}`;
  $('limits').textContent = ` up to ${facts.limits.megabytes} MB and ${facts.limits.seconds} seconds`;
  $('minutes').textContent = plural(facts.limits.minutes, 'minute');
  $('host').textContent = location.hostname;
  for (const model of facts.models) $('model').add(new Option(model.name, model.name));
  tellModel();
  show('record', Boolean(navigator.mediaDevices && window.MediaRecorder));
}

function tellModel() {
  const model = facts.models.find(one => one.name === $('model').value);
  $('about').textContent = model && model.about ? `${model.name}: ${model.about}.` : '';
}

// 1. choose

function upload(file, name) {
  if (file.size > facts.limits.megabytes * 1e6) {
    warn('refused', `${name}: has ${(file.size / 1e6).toFixed(0)} MB and this page takes up to ` +
      `${facts.limits.megabytes} MB. Shorten or compress it, or run “saliency report” on your own computer, which has no limit.`);
    return;
  }
  take(own => new Promise((done, failed) => {
    const request = new XMLHttpRequest();  // fetch cannot tell how much was sent
    request.upload.onprogress = event => {
      if (own !== sequence) return request.abort();
      $('sent').value = event.loaded / event.total;
      $('sending-text').textContent = event.loaded < event.total ? 'sending …' : 'looking into it …';
    };
    request.onload = () => {
      let told = {};
      try { told = JSON.parse(request.responseText); } catch (error) { /* said below */ }
      request.status === 201 ? done(told) : failed(new Error(told.error || `The page answered with error ${request.status}.`));
    };
    request.onerror = () => failed(new Error(`${name}: could not be sent. It may be too large, or the page does not run any more.`));
    request.open('POST', `api/videos?name=${encodeURIComponent(name)}`);
    request.send(file);
  }));
}

async function take(send) {
  const own = ++sequence;
  forget();
  warn('refused', '');
  $('sent').removeAttribute('value');
  $('sending-text').textContent = 'one moment …';
  show('sending');
  try {
    const told = await send(own);
    if (own !== sequence) return;
    video = told;
    prepare();
  } catch (error) {
    if (own === sequence) warn('refused', error.message);
  } finally {
    if (own === sequence) show('sending', false);
  }
}

function forget() {
  const old = video;
  video = null;
  regions = [];
  for (const id of ['ask', 'result', 'running']) show(id, false);
  warn('failed', '');
  $('report').removeAttribute('src');
  if (old) ask(`api/videos/${old.id}`, {method: 'DELETE'}).catch(() => {});  // it may be gone already
}

// the camera

async function record() {
  warn('refused', '');
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({video: {width: {ideal: 640}}, audio: false});
  } catch (error) {
    warn('refused', `The camera cannot be used (${error.message}). Allow it in the browser, or choose a file.`);
    return;
  }
  const recorder = new MediaRecorder(stream);
  const parts = [];
  const started = Date.now();
  const most = Math.min(LONGEST_RECORDING, facts.limits.seconds);
  const clock = setInterval(() => {
    const passed = (Date.now() - started) / 1000;
    $('recorded').textContent = `${passed.toFixed(0)} of at most ${most} seconds`;
    if (passed >= most) recorder.stop();
  }, 250);
  recorder.ondataavailable = event => parts.push(event.data);
  recorder.onstop = () => {
    clearInterval(clock);
    stream.getTracks().forEach(track => track.stop());
    show('camera', false);
    const ending = recorder.mimeType.includes('mp4') ? 'mp4' : 'webm';
    upload(new Blob(parts, {type: recorder.mimeType}), `camera.${ending}`);
  };
  $('viewfinder').srcObject = stream;
  $('viewfinder').play();
  $('stop').onclick = () => recorder.state === 'recording' && recorder.stop();
  show('camera');
  recorder.start();
}

// 2. ask

function prepare() {
  const found = video.found;
  $('name').textContent = video.name;
  $('found').textContent = `${found.width}x${found.height} pixels` +
    (found.still ? '' : `, ${plural(found.frames, 'frame')}, ${(found.frames / found.fps).toFixed(1)} seconds`);
  $('number').max = found.frames - 1;
  $('number').value = 0;
  show('slider', found.frames > 1);
  $('drawn').setAttribute('viewBox', `0 0 ${found.width} ${found.height}`);
  $('drawn').setAttribute('preserveAspectRatio', 'none');
  showFrame();
  listRegions();
  $('go').disabled = false;
  show('ask');
  $('ask').scrollIntoView({behavior: 'smooth'});
}

function showFrame() {
  $('number-text').textContent = $('number').value;
  $('frame').src = `api/videos/${video.id}/frames/${$('number').value}.jpg`;
}

function place(event) {  // in pixels of the video, inside the picture
  const box = $('drawn').getBoundingClientRect();
  const inside = (value, most) => Math.max(0, Math.min(most, Math.round(value)));
  return [
    inside((event.clientX - box.left) / box.width * video.found.width, video.found.width),
    inside((event.clientY - box.top) / box.height * video.found.height, video.found.height),
  ];
}

function between([x0, y0], [x1, y1]) {
  return {x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0)};
}

function drawing() {
  let from = null;
  $('drawn').onpointerdown = event => {
    from = place(event);
    $('drawn').setPointerCapture(event.pointerId);
    event.preventDefault();
  };
  $('drawn').onpointermove = event => { if (from) drawRegions(between(from, place(event))); };
  $('drawn').onpointerup = event => {
    if (!from) return;
    const region = between(from, place(event));
    from = null;
    if (region.width >= 3 && region.height >= 3 && regions.length < 20) {
      let number = regions.length + 1;
      while (regions.some(other => other.name === `region ${number}`)) number++;
      regions.push({name: `region ${number}`, ...region});
    }
    listRegions();
  };
  $('drawn').onpointercancel = () => { from = null; drawRegions(); };
}

function drawRegions(unfinished) {
  $('drawn').replaceChildren(...[...regions, ...(unfinished ? [unfinished] : [])].map((region, k) => {
    const rect = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    for (const side of ['x', 'y', 'width', 'height']) rect.setAttribute(side, region[side]);
    rect.setAttribute('fill', COLOURS[k % COLOURS.length]);
    rect.setAttribute('stroke', COLOURS[k % COLOURS.length]);
    return rect;
  }));
}

function listRegions() {
  drawRegions();
  $('regions').replaceChildren(...regions.map((region, k) => {
    const swatch = document.createElement('i');
    swatch.className = 'swatch';
    swatch.style.background = COLOURS[k % COLOURS.length];
    const name = document.createElement('input');
    Object.assign(name, {type: 'text', value: region.name, maxLength: 40});
    name.setAttribute('aria-label', 'Name of the region');
    name.oninput = () => { region.name = name.value.trim(); };
    const where = document.createElement('span');
    where.className = 'note';
    where.textContent = `${region.width}x${region.height} at ${region.x}, ${region.y}`;
    const drop = document.createElement('button');
    Object.assign(drop, {type: 'button', textContent: 'Remove'});
    drop.onclick = () => { regions.splice(k, 1); listRegions(); };
    const line = document.createElement('li');
    line.append(swatch, name, where, drop);
    return line;
  }));
}

async function measure() {
  const own = sequence;
  warn('failed', '');
  const names = regions.map(region => region.name);
  const twice = names.find((name, k) => names.indexOf(name) !== k);
  if (twice !== undefined) return warn('failed', `There are two regions called “${twice}”; give each its own name.`);
  const order = {
    model: $('model').value,
    crop: $('crop').value,
    thumbnails: Math.trunc(Number($('thumbnails').value)),
    maps: $('maps').value,
    regions: Object.fromEntries(regions.map(one => [one.name, [one.x, one.y, one.width, one.height]])),
  };
  show('result', false);
  $('report').removeAttribute('src');
  $('go').disabled = true;
  try {
    let told = await ask(`api/videos/${video.id}/measure`, {method: 'POST', body: JSON.stringify(order)});
    show('running');
    while (own === sequence && (told.state === 'waiting' || told.state === 'running')) {
      tell(told);
      await new Promise(passed => setTimeout(passed, 400));
      told = await ask(`api/videos/${told.id}`);
    }
    if (own !== sequence) return;
    video = told;
    if (told.state === 'done') answer(); else warn('failed', told.message);
  } catch (error) {
    if (own === sequence) warn('failed', error.message);
  } finally {
    if (own === sequence) {
      show('running', false);
      $('go').disabled = false;
    }
  }
}

function tell(told) {
  $('done').value = told.done / told.found.frames;
  $('running-text').textContent = told.state === 'waiting'
    ? (told.before ? `${plural(told.before, 'video')} before yours …` : 'next …')
    : told.done < told.found.frames ? `frame ${told.done} of ${told.found.frames}` : 'writing the report …';
}

// 3. answer

function answer() {
  const file = name => `api/videos/${video.id}/files/${encodeURIComponent(name)}`;
  warn('problem', video.message);
  $('report').src = `${file('report.html')}?show=1`;
  $('files').replaceChildren(...video.files.map(one => {
    const link = document.createElement('a');
    Object.assign(link, {href: file(one.name), textContent: one.name, download: one.name});
    const line = document.createElement('li');
    line.append(link, `: ${one.about}`);
    return line;
  }));
  show('result');
  $('result').scrollIntoView({behavior: 'smooth'});
}

function fit() {  // the report is as high as it is, so that the page has one scroll bar
  const inside = $('report').contentDocument;
  if (!inside || !inside.body || !$('report').hasAttribute('src')) return;
  const height = () => { $('report').style.height = `${inside.body.scrollHeight + 4}px`; };
  height();
  new ResizeObserver(height).observe(inside.body);
}

begin().then(() => {
  $('file').onchange = () => { const [file] = $('file').files; if (file) upload(file, file.name); $('file').value = ''; };
  $('drop').ondragover = event => { event.preventDefault(); $('drop').classList.add('over'); };
  $('drop').ondragleave = () => $('drop').classList.remove('over');
  $('drop').ondrop = event => {
    event.preventDefault();
    $('drop').classList.remove('over');
    const [file] = event.dataTransfer.files;
    if (file) upload(file, file.name);
  };
  $('record').onclick = record;
  $('example').onclick = () => take(() => ask('api/videos/example', {method: 'POST'}));
  $('number').oninput = showFrame;
  $('model').onchange = tellModel;
  $('go').onclick = measure;
  $('other').onclick = () => { sequence++; forget(); $('choose').scrollIntoView({behavior: 'smooth'}); };
  $('remove').onclick = () => { sequence++; forget(); $('privacy').scrollIntoView({behavior: 'smooth'}); };
  $('report').onload = fit;
  drawing();
}).catch(error => warn('refused', error.message));
