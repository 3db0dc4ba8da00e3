import { TvRequestError } from './errors.ts'

export type Value = string | number | boolean
export type Values = Readonly<Record<string, Value>>
/** Whether values are as somebody wrote: `line=2 & model~metro & volume>10`. */
export type Condition = (values: Values) => boolean

const MAX_CHARS = 300
const TERM = /^([A-Za-z][\w.-]{0,63})\s*(!=|<=|>=|=|~|<|>)\s*(.{1,100})$/su

/**
 * Terms joined by `&`; each is a name, one of `= != ~ < <= > >=`, and a value. `~` is part of a text, in whatever case;
 * a value that is not there makes every term false but `!=`. `*` is always true.
 *
 * @throws {TvRequestError}
 */
export function parseCondition(text: string): Condition {
  if (text.length > MAX_CHARS) throw new TvRequestError(`a condition has at most ${MAX_CHARS} characters`)
  if (text.trim() === '*') return () => true
  const terms = text.split('&').map(each => parseTerm(each.trim()))
  return values => terms.every(term => term(values))
}

/** Whether a text is one. */
export function isCondition(text: string): boolean {
  try {
    parseCondition(text)
    return true
  } catch {
    // TvRequestError: it is none
    return false
  }
}

function parseTerm(text: string): Condition {
  const [, name, sign, wanted] = TERM.exec(text) ?? []
  if (name == null || sign == null || wanted == null)
    throw new TvRequestError(`"${text.slice(0, 50)}" is no condition; write it like line=2 & model~metro`)
  const value = wanted.trim()
  const number = Number(value)
  if (/[<>]/.test(sign) && (value === '' || !Number.isFinite(number)))
    throw new TvRequestError(`${name} ${sign} ${value}: only numbers can be compared so`)
  const compare: Record<string, (is: Value) => boolean> = {
    '=': is => String(is) === value,
    '~': is => String(is).toLowerCase().includes(value.toLowerCase()),
    '<': is => Number(is) < number,
    '<=': is => Number(is) <= number,
    '>': is => Number(is) > number,
    '>=': is => Number(is) >= number
  }
  if (sign === '!=') return values => String(ownValue(values, name)) !== value
  return values => {
    const is = ownValue(values, name)
    return is != null && compare[sign]!(is)
  }
}

const ownValue = (values: Values, name: string): Value | undefined =>
  Object.hasOwn(values, name) ? values[name] : undefined
