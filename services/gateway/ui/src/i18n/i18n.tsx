import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from 'react'
import { createFormat, type Format } from '../format.ts'
import { type Dictionary, en, type Key } from './en.ts'
import { ru } from './ru.ts'

export type Language = 'en' | 'ru'
export type Translate = (key: Key, values?: Record<string, string | number>) => string

const KEY = 'artel.language'
const DICTIONARIES: Record<Language, Dictionary> = { en, ru }

export interface Texts {
  language: Language
  setLanguage(language: Language): void
  t: Translate
  format: Format
}

const Context = createContext<Texts | undefined>(undefined)

export function useTexts(): Texts {
  const texts = useContext(Context)
  if (texts == null) throw new Error('useTexts: outside of a TextsProvider')
  return texts
}

/** Texts in the language of the browser, or the one that was chosen here. */
export function TextsProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(firstLanguage)
  useEffect(() => {
    document.documentElement.lang = language
  }, [language])
  const texts = useMemo<Texts>(() => {
    // numbers and dates as the person writes them, where the region is known
    const locale = navigator.languages.find(each => each.startsWith(language)) ?? language
    const format = createFormat(locale)
    return {
      language,
      setLanguage(chosen) {
        localStorage.setItem(KEY, chosen)
        setLanguage(chosen)
      },
      t: createTranslate(DICTIONARIES[language], language, format),
      format
    }
  }, [language])
  return <Context value={texts}>{children}</Context>
}

function firstLanguage(): Language {
  const chosen = localStorage.getItem(KEY) ?? navigator.language
  return chosen.startsWith('ru') ? 'ru' : 'en'
}

export function createTranslate(dictionary: Dictionary, language: Language, format: Format): Translate {
  const plural = new Intl.PluralRules(language)
  return (key, values = {}) => {
    const message = dictionary[key]
    const text =
      typeof message === 'string' ? message : (message[plural.select(Number(values.n))] ?? message.other)
    return text.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = values[name]
      return typeof value === 'number' ? format.number(value) : (value ?? `{${name}}`)
    })
  }
}
