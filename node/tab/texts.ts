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
  limits: 'Limits',
  isCharging: 'Not while this computer runs on its battery',
  isSeen: 'Only while I look at this page',
  off: 'Nothing is lent.',
  connecting: 'Looking for the network …',
  battery: 'Pauses: this computer runs on its battery.',
  hidden: 'Pauses: this page is not seen.',
  idle: 'Connected; nobody needs anything at this moment.',
  busy: 'Computing.',
  meter: 'Lent by this browser so far',
  slices: 'Pieces computed',
  time: 'Time lent',
  earned: 'Credits earned',
  account: 'Its account',
  seconds: 's',
  elsewhere: 'Another tab of this browser lends already.',
  insecure: 'A browser lends only on a page that came over https, or from this very computer.',
  engine:
    'This browser cannot lend: its answers could differ from those of others. Take one with the engine V8, such as Chrome, Chromium, Edge or Opera.'
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
  limits: 'Пределы',
  isCharging: 'Не от батареи этого компьютера',
  isSeen: 'Только пока я смотрю на эту страницу',
  off: 'Ничего не отдаётся.',
  connecting: 'Ищем сеть …',
  battery: 'Пауза: компьютер работает от батареи.',
  hidden: 'Пауза: эту страницу не видно.',
  idle: 'На связи; сейчас никому ничего не нужно.',
  busy: 'Считаем.',
  meter: 'Этот браузер уже отдал',
  slices: 'Посчитано частей',
  time: 'Отдано времени',
  earned: 'Заработано кредитов',
  account: 'Его счёт',
  seconds: 'с',
  elsewhere: 'Другая вкладка этого браузера уже отдаёт своё время.',
  insecure: 'Браузер отдаёт своё время только на странице, пришедшей по https или с этого же компьютера.',
  engine:
    'Этот браузер помочь не может: его ответы могли бы отличаться от чужих. Возьмите браузер с движком V8, например Chrome, Chromium, Edge или Opera.'
}

export const textsOf = (language: string): Texts => (language.startsWith('ru') ? ru : en)
