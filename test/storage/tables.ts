// The tables that the storage tests work on: every kind of column, both kinds of ids, both kinds of references.
import { newUuid } from '../../src/core/ids.ts'
import type { Insert, Table, Values } from '../../src/storage/store.ts'

export const THINGS: Table = {
  name: 'things',
  id: 'integer',
  columns: [
    { name: 'name', kind: 'text', nullable: true },
    { name: 'price', kind: 'real', nullable: true, index: true },
    { name: 'amount', kind: 'integer', nullable: true },
    { name: 'done', kind: 'boolean', nullable: true },
    { name: 'extra', kind: 'json', nullable: true },
  ],
}

export const PEOPLE: Table = {
  name: 'people',
  id: 'uuid',
  columns: [
    { name: 'email', kind: 'text', nullable: false, unique: true },
    { name: 'friend', kind: 'text', nullable: true, references: 'people' },
  ],
}

export const BOOKS: Table = {
  name: 'books',
  id: 'integer',
  columns: [
    { name: 'code', kind: 'text', nullable: false, unique: true },
    { name: 'author', kind: 'text', nullable: true, references: 'people' },
    { name: 'reader', kind: 'text', nullable: true, references: 'people', onDelete: 'set null' },
  ],
}

/** Rows that go with their target; its name says that it is nobody's resource. */
export const VISITS: Table = {
  name: '_hipflask_visits',
  id: 'uuid',
  columns: [{ name: 'visitor', kind: 'text', nullable: false, references: 'people', onDelete: 'cascade' }],
}

export const TABLES: readonly Table[] = [THINGS, PEOPLE, BOOKS, VISITS]

export function thing(values: Values): Insert {
  return { kind: 'insert', table: 'things', values }
}

export function book(code: string, values: Values = {}): Insert {
  return { kind: 'insert', table: 'books', values: { code, ...values } }
}

export function person(email: string, id: string = newUuid()): Insert {
  return { kind: 'insert', table: 'people', id, values: { email } }
}

export function visit(visitor: string, id: string = newUuid()): Insert {
  return { kind: 'insert', table: VISITS.name, id, values: { visitor } }
}
