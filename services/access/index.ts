export * from './account.ts'
export * from './people.ts'
export * from './token.ts'
