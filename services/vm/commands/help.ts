/** What a prompt says about each command, in its users' languages. */
export type Language = 'en' | 'ru'

export const COMMANDS: Record<string, { usage: string; en: string; ru: string }> = {
  AUTH: {
    usage: 'AUTH <vm_id> <ram> <cpu>',
    en: 'registers a machine, or authenticates one that was registered with the same MB of RAM and number of CPUs',
    ru: 'регистрирует машину или авторизует уже зарегистрированную с теми же МБ памяти и числом процессоров'
  },
  ADD_VM: {
    usage: 'ADD_VM <vm_id> <ram> <cpu>',
    en: 'registers a machine without authenticating it; it starts only after AUTH',
    ru: 'регистрирует машину без авторизации; запускается она только после AUTH'
  },
  LIST_VMS: { usage: 'LIST_VMS', en: 'shows your active machines', ru: 'показывает активные машины' },
  LIST_AUTH_VMS: {
    usage: 'LIST_AUTH_VMS',
    en: 'shows your machines that are active and authenticated',
    ru: 'показывает активные авторизованные машины'
  },
  UPDATE_VM: {
    usage: 'UPDATE_VM <vm_id> <ram> <cpu>',
    en: 'changes RAM and CPUs: at once when the machine is stopped, else at its next start',
    ru: 'меняет память и процессоры: сразу, если машина остановлена, иначе при следующем запуске'
  },
  LOGOUT: {
    usage: 'LOGOUT <vm_id>',
    en: 'takes the authentication back; a running machine runs on',
    ru: 'снимает авторизацию; запущенная машина продолжает работать'
  },
  LIST_DISKS: { usage: 'LIST_DISKS', en: 'shows the disks of your machines', ru: 'показывает диски машин' },
  ADD_DISK: {
    usage: 'ADD_DISK <disk_id> <vm_id> <size>',
    en: 'gives a machine a new disk of so many GB, also while it runs',
    ru: 'добавляет машине новый диск в ГБ, в том числе на ходу'
  },
  REMOVE_VM: {
    usage: 'REMOVE_VM <vm_id> [--yes]',
    en: 'stops a machine and puts it with its disks into the trash for 7 days',
    ru: 'останавливает машину и на 7 дней перемещает её с дисками в корзину'
  },
  REMOVE_DISK: {
    usage: 'REMOVE_DISK <disk_id>',
    en: 'takes a disk out of its machine and puts it into the trash for 7 days',
    ru: 'отключает диск от машины и на 7 дней перемещает его в корзину'
  },
  CHECK_ALL_VMS: {
    usage: 'CHECK_ALL_VMS',
    en: 'looks at every machine you ever had: records, folder, process, answers, disks',
    ru: 'проверяет все машины, включая удалённые: записи, папку, процесс, ответы, диски'
  },
  HELP: { usage: 'HELP [command]', en: 'explains the commands', ru: 'объясняет команды' },
  EXIT: { usage: 'EXIT', en: 'leaves', ru: 'выход' }
}

const TEXTS = {
  en: {
    first: 'commands; case does not matter',
    sure: (id: string) => `Remove machine ${id} and its disks? [y/N] `
  },
  ru: { first: 'команды; регистр не важен', sure: (id: string) => `Удалить машину ${id} и её диски? [y/N] ` }
}

/** Lines of help, for all commands or one. */
export function helpLines(language: Language, command?: string): string[] {
  const one = command === undefined ? undefined : COMMANDS[command.toUpperCase()]
  if (one !== undefined) return [`${one.usage}: ${one[language]}`]
  const width = Math.max(...Object.values(COMMANDS).map(({ usage }) => usage.length))
  const lines = Object.values(COMMANDS).map(entry => `  ${entry.usage.padEnd(width)}  ${entry[language]}`)
  return [TEXTS[language].first, ...lines]
}

export function confirmation(language: Language, id: string): string {
  return TEXTS[language].sure(id)
}

/** The user's language as POSIX has it. */
export function languageOf({ LC_ALL, LC_MESSAGES, LANG }: Record<string, string | undefined>): Language {
  return (LC_ALL || LC_MESSAGES || LANG || '').toLowerCase().startsWith('ru') ? 'ru' : 'en'
}
