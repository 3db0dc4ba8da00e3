/** What a preset was asked for does not exist; the message names the field and the value. */
export class PresetError extends Error {
  override readonly name = 'PresetError'
}
