/** What the page says. */
const en = {
  title: 'Lend this tab',
  lead: 'While this page is open, your browser computes small pieces of the jobs of others. Nothing is installed, and nothing is lent before you press the button.',
  walls:
    'What runs here is somebody else’s code, behind walls: it reaches neither the network, nor your files, nor this or any other page. It does use processor time and memory.',
  start: 'Lend this tab',
  stop: 'Stop',
  cores: 'Cores',
  share: 'Share of their time',
  off: 'Nothing is lent.',
  connecting: 'Looking for the network …',
  idle: 'Connected; nobody needs anything at this moment.',
  busy: 'Computing.',
  slices: 'Pieces computed',
  time: 'Time lent',
  earned: 'Earned, credits',
  account: 'Account of this browser',
  seconds: 's',
  elsewhere: 'Another tab of this browser lends already.',
  insecure: 'A browser lends only on a page that came over https, or from this very computer.'
}
export type Texts = typeof en

const ru: Texts = {
  title: 'Одолжить эту вкладку',
  lead: 'Пока эта страница открыта, браузер считает небольшие части чужих заданий. Ничего не устанавливается, и ничего не отдаётся, пока вы не нажмёте кнопку.',
  walls:
    'Здесь работает чужой код, и он за стенами: ни сеть, ни ваши файлы, ни эта и никакая другая страница ему недоступны. Время процессора и память он занимает.',
  start: 'Одолжить эту вкладку',
  stop: 'Остановить',
  cores: 'Ядра',
  share: 'Доля их времени',
  off: 'Ничего не отдаётся.',
  connecting: 'Ищем сеть …',
  idle: 'На связи; сейчас никому ничего не нужно.',
  busy: 'Считаем.',
  slices: 'Посчитано частей',
  time: 'Отдано времени',
  earned: 'Заработано кредитов',
  account: 'Счёт этого браузера',
  seconds: 'с',
  elsewhere: 'Другая вкладка этого браузера уже отдаёт своё время.',
  insecure: 'Браузер отдаёт своё время только на странице, пришедшей по https или с этого же компьютера.'
}

export const textsOf = (language: string): Texts => (language.startsWith('ru') ? ru : en)
