import type { Language } from '../commands/help.ts'

const en = {
  greeting: 'Virtual machines. HELP explains, Tab completes, Ctrl-D or EXIT leaves.',
  leaving: '(Ctrl-D or EXIT leaves)',
  givenUp: 'nobody waits for the answer any more; what was asked for may still be done',
  kept: 'nothing was removed',
  noHistory: (why: string) => `what you type is not kept: ${why}`
}

const ru: typeof en = {
  greeting: 'Виртуальные машины. HELP объясняет, Tab дополняет, Ctrl-D или EXIT — выход.',
  leaving: '(выход — Ctrl-D или EXIT)',
  givenUp: 'ответа больше никто не ждёт; команда ещё может выполниться',
  kept: 'ничего не удалено',
  noHistory: why => `введённое не сохраняется: ${why}`
}

export const textsOf = (language: Language) => (language === 'ru' ? ru : en)
