const film = document.querySelector('video');
if (film) {
  const plots = [...document.querySelectorAll('.plot')];
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
