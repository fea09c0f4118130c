// The resources that are served when there is no resources folder; `hipflask init` writes the same files.
import items from './items.ts'
import users from './users.ts'

/** Each with the name of its file. */
export const starter = [
  { file: 'items.ts', resource: items },
  { file: 'users.ts', resource: users },
]
