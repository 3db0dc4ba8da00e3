export * from './directory/index.ts'
export * from './gateway/index.ts'
