import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from '@mantine/core'

/** Calm blue-green; shade 7 carries white text with a contrast of 5.5. */
const artel: MantineColorsTuple = [
  '#eaf6f6',
  '#d5ebeb',
  '#a9d7d8',
  '#79c2c4',
  '#53b0b2',
  '#3aa4a6',
  '#218487',
  '#0f7476',
  '#0a5f61',
  '#06494b'
]

/** Dark grounds with a little blue in them, as the accent has. */
const dark: MantineColorsTuple = [
  '#d8dee6',
  '#b9c2cd',
  '#98a3b0',
  '#6b7785',
  '#3a4450',
  '#2f3944',
  '#222a32',
  '#1a2027',
  '#12161b',
  '#0d1014'
]

export const theme = createTheme({
  colors: { artel, dark },
  primaryColor: 'artel',
  primaryShade: 7,
  defaultRadius: 'md',
  autoContrast: true,
  respectReducedMotion: true,
  cursorType: 'pointer',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "Cascadia Code", Menlo, Consolas, "Liberation Mono", monospace',
  headings: { fontWeight: '650', sizes: { h1: { fontSize: '1.5rem' }, h2: { fontSize: '1.05rem' } } }
})

/** Quieter text than Mantine's that still has a contrast of 4.5 on every ground we use. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': '#566070',
    '--mantine-color-body': '#f5f7f9',
    '--mantine-color-placeholder': '#667080',
    '--artel-card': '#ffffff',
    '--artel-line': '#e3e8ed',
    '--artel-quiet': '#eef2f5',
    '--artel-accent': '#0f7476',
    '--mantine-color-anchor': '#0b6567',
    '--mantine-color-error': '#b42318',
    '--mantine-color-red-light': '#fdeeec',
    '--mantine-color-orange-light': '#fdf1e3',
    '--mantine-color-teal-light': '#e4f4ee',
    '--mantine-color-artel-light': '#e2f1f1'
  },
  dark: {
    '--mantine-color-dimmed': '#a3adba',
    '--mantine-color-body': '#12161b',
    '--mantine-color-placeholder': '#8f9aa8',
    '--artel-card': '#1a2027',
    '--artel-line': '#2a323b',
    '--artel-quiet': '#222a32',
    '--artel-accent': '#53b0b2',
    '--mantine-color-anchor': '#79c2c4',
    '--mantine-color-error': '#ff8a80',
    '--mantine-color-gray-light': '#98a3b02e',
    '--mantine-color-gray-light-color': '#c9d1da',
    '--mantine-color-artel-light': '#53b0b22e',
    '--mantine-color-artel-light-color': '#9fdcde',
    '--mantine-color-red-light': '#ff7a702e',
    '--mantine-color-red-light-color': '#ffb3ac'
  }
})

/** Workers and series: told apart by hue and lightness, in light and dark. */
export const SERIES = [
  '#2a9d8f',
  '#e9a23b',
  '#5b7fd6',
  '#d1495b',
  '#8e6bbf',
  '#6aa84f',
  '#c9648f',
  '#3d9fd1',
  '#b07d48',
  '#7a8794',
  '#b5a62e',
  '#d9733f'
]
export const seriesColor = (index: number): string => SERIES[index % SERIES.length]!
