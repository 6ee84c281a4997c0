for (const side of ['a', 'b']) {
  const film = document.querySelector(`#film-${side} video`);
  const plots = [...document.querySelectorAll(`[data-side="${side}"] .plot`)];
  if (!film) continue;
  for (const plot of plots) plot.addEventListener('click', event => {
    const box = plot.getBoundingClientRect();
    film.currentTime = (event.clientX - box.left) / box.width * plot.dataset.duration;
  });
  film.addEventListener('timeupdate', () => {
    for (const plot of plots) {
      const head = plot.querySelector('.head');
      head.style.opacity = 0.7;
      head.style.left = 100 * film.currentTime / plot.dataset.duration + '%';
    }
  });
}
