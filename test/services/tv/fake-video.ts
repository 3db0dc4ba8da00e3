/**
 * A screen of 160 × 96 as Chromium's own encoder wrote it (H.264, constrained baseline): ten pictures of red, ten of
 * blue, the first of each a key picture, each with a white square that moves.
 */
const STREAM = Buffer.from(
  [
    'AAAAAWdC0AuMjUFGk3AQ0BB4RCNQAAAAAWjOPIAAAAABZbgABAAAf//+CKKAAICvjgAGY4AAgqSak5OTk5OTk5OtV1111111',
    '1//HDwSRQABBi8ITIggADgCDXV11111111///wRRQABBj8QARYgAAgNAAGrrrrrrrrrrrpaWlpaWlpaWuuuuuuuuuvAAAAAB',
    'YeAAQAC+R4VN//EMEpBQABBI8ImaCAALgxx4KIAAAAABYeAAgAE+Q+FTycCDgngAAAABYeAAwAG+QXhaBBwTwAAAAAFh4AEA',
    'Aj5AvhUXJ7OvAgy1VVi/2dc651zrnXOsh28/n8/n8/n4VgAAAAFh4AFAAr5A3heBBxXS6HIAAAABYeABgAM+QEeFzonAg4JY',
    'AAAAAWHgAcADvkBPhiBBwiL5p8/CcAAAAAFh4AIABD5AZ4YOicCDmPefiT3FHkz8TAAAAAFh4AJABL5Ad4ZgQcEkAAAAAWdC',
    '0AuMjUFGk3AQ0BB4RCNQAAAAAWjOPIAAAAABZbgABgAAF///4IooAAgc3eOAAIPEcAGTk5OTk5OTk5Ouuuuuuuuuv/44eCSK',
    'AAIT3hAACAIAIGlQlpLrrrrrrrr///giigACE/4gAAgVAACAdEBeuuuuuuuuuuuuuuuuuuuuuuuuuuuuvAAAAAFh4ABAAL5A',
    'vhU3/8QwSkFAAELTwgABAJACAgyFbQKIAAAAAWHgAIABPkDeFTycCDgngAAAAAFh4ADAAb5A/haBBojAE8AAAAABYeABAAI+',
    'QEeFjsnAg4JoAAAAAWHgAUACvkBPheBBwTQAAAABYeABgAM+QGeFzsnAg1AFJBLAAAAAAWHgAcADvkBvhiBBwSwAAAABYeAC',
    'AAQ+QHeGDycCDgkgAAAAAWHgAkAEvkB3hmBBwSQ='
  ].join(''),
  'base64'
)

/** Where pictures and settings begin: behind four bytes 0 0 0 1. */
const parts = STREAM.toString('latin1')
  .split('\0\0\0\x01')
  .slice(1)
  .map(part => Buffer.from(`\0\0\0\x01${part}`, 'latin1'))
const isSettings = (part: Buffer): boolean => [7, 8].includes(part[4]! & 0x1f)

/** As a TV sends it: settings once, at the beginning. */
export const SETTINGS = Buffer.concat(parts.filter(isSettings).slice(0, 2))
export const PICTURES = parts.filter(part => !isSettings(part))
