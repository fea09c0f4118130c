// What a table has beside its rows, so that they are found and kept right: indexes, the index of words, triggers. All of
// it follows from the declaration, holds nothing of its own, and is made anew where it is not as it should be.
import type { Database } from 'bun:sqlite'
import type { Column, Table } from '../store.ts'
import { searchIndexName } from './dialect.ts'

/** An index, trigger or virtual table: what SQLite keeps of it is the statement that made it. */
export interface DerivedObject {
  name: string
  type: 'INDEX' | 'TRIGGER' | 'TABLE'
  sql: string
}

/** Statements to run before and after the columns of the table are changed. */
export interface DerivedChanges {
  drops: readonly string[]
  creates: readonly string[]
}

/** Brings what is stored to what should be. Without `table` everything goes. */
export function planDerived(table: Table | undefined, stored: readonly DerivedObject[]): DerivedChanges {
  const wanted =
    table === undefined ? [] : [...searchObjects(table), ...triggersOf(table), ...indexesOf(table)]
  const isKept = createComparison(stored, wanted)
  const stale = stored.filter((object) => !isKept(object, wanted))
  const missing = wanted.filter((object) => !isKept(object, stored))
  const isSearchNew = missing.some(isSearchTable)
  return {
    // Triggers first: they write to the index of words.
    drops: [
      ...stale.filter(({ type }) => type === 'TRIGGER'),
      ...stale.filter(({ type }) => type !== 'TRIGGER'),
    ].map(({ type, name }) => `DROP ${type} ${quote(name)}`),
    creates: [
      ...missing.map(({ sql }) => sql),
      ...(isSearchNew && table !== undefined ? [fillSearch(table)] : []),
    ],
  }
}

/** What there is of a table, as far as its name says that hipflask made it. */
export function readDerived(database: Database, table: string): DerivedObject[] {
  const sql = `
    SELECT name, upper(type) AS type, sql
    FROM sqlite_schema
    WHERE type IN ('index', 'trigger') AND lower(tbl_name) = ?1 OR type = 'table' AND name = ?2`
  return database
    .query<DerivedObject, [string, string]>(sql)
    .all(table, searchIndexName(table))
    .filter(({ name, type }) => (type === 'INDEX' ? isIndexName(table, name) : name.startsWith('_hipflask_')))
}

/** Why the table can't have what it declares; each names table, column and remedy. */
export function derivedProblems({ name, search = [] }: Table): string[] {
  // Names that FTS5 keeps for itself.
  return search
    .filter((column) => column === 'rank' || column === 'rowid')
    .map((column) => `Column ${name}.${column} cannot be searched under this name: give it another`)
}

// The index of words is right only if every change went through all of its triggers: it is kept whole or made anew.
function createComparison(stored: readonly DerivedObject[], wanted: readonly DerivedObject[]) {
  const isIn = ({ name, sql }: DerivedObject, list: readonly DerivedObject[]) =>
    list.some((other) => other.name === name && other.sql === sql)
  const [storedSearch, wantedSearch] = [stored.filter(isOfSearch), wanted.filter(isOfSearch)]
  const isSearchKept =
    storedSearch.length === wantedSearch.length && wantedSearch.every((object) => isIn(object, storedSearch))
  return (object: DerivedObject, list: readonly DerivedObject[]) =>
    isOfSearch(object) ? isSearchKept : isIn(object, list)
}

// ── Indexes ─────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Every index ends with the id, so that it has the rows in the order of a list: integer ids are the numbers that
 * SQLite itself puts there. Where rows are deleted softly, it holds the living.
 */
function indexesOf(table: Table): DerivedObject[] {
  const { name, softDelete = false } = table
  const living = softDelete ? ['"deleted_at" IS NULL'] : []
  const ofColumns = table.columns.flatMap((column) => {
    const at = `${name}.${column.name}`
    // A foreign key looks for every row that refers to its target, also for deleted ones.
    const isFull = column.references !== undefined
    const plain = index(`${at}.index`, on(table, orderColumns(table, column), isFull ? [] : living))
    if (column.unique !== true) return column.index === true || isFull ? [plain] : []
    if (isOrderedBy(table, column))
      return [index(`${at}.unique`, on(table, [column.name], living), 'UNIQUE INDEX')]
    // Without nulls, or SQLite would look for them here, where they are in no order.
    const conditions = [...living, `${quote(column.name)} IS NOT NULL`]
    return [index(`${at}.unique`, on(table, [column.name], conditions), 'UNIQUE INDEX'), plain]
  })
  if (!softDelete) return ofColumns
  return [
    ...ofColumns,
    // Without them a list would pass over all that was deleted before its first row.
    index(`${name}.id.living`, on(table, ['id'], living)),
    index(`${name}.id.deleted`, on(table, ['id'], ['"deleted_at" IS NOT NULL'])),
  ]
}

function orderColumns({ id }: Table, column: Column): string[] {
  return id === 'uuid' ? [column.name, 'id'] : [column.name]
}

/** Whether the index of unique values has the rows in order; nulls are many, and among them the id decides. */
function isOrderedBy({ id, softDelete }: Table, column: Column): boolean {
  const isForKey = column.references !== undefined && softDelete === true
  return (id !== 'uuid' || !column.nullable) && !isForKey
}

function on({ name }: Table, columns: readonly string[], conditions: readonly string[]): string {
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  return `ON ${quote(name)} (${columns.map(quote).join(', ')})${where}`
}

function index(name: string, target: string, kind = 'INDEX'): DerivedObject {
  return { name, type: 'INDEX', sql: `CREATE ${kind} ${quote(name)} ${target}` }
}

// "items.price.index": a name holds dots, which no resource and no property can have, so that no two collide.
function isIndexName(table: string, name: string): boolean {
  const [owner, , kind = ''] = name.split('.')
  return owner === table && ['index', 'unique', 'living', 'deleted'].includes(kind)
}

// ── Triggers ────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * A row whose reference is cleared because its target was deleted has changed: it gets a new version like by any other
 * change. A statement of ours sets the version itself, so that the trigger leaves it alone.
 */
function triggersOf({ name, columns }: Table): DerivedObject[] {
  const isTimed = columns.some((column) => column.name === 'updated_at' && column.kind === 'text')
  const time = isTimed ? `, "updated_at" = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')` : ''
  return columns
    .filter(({ onDelete }) => onDelete === 'set null')
    .map((column) =>
      trigger(
        `_hipflask_cleared_${name}$${column.name}`,
        `AFTER UPDATE OF ${quote(column.name)} ON ${quote(name)}
WHEN NEW.${quote(column.name)} IS NULL AND NEW._version = OLD._version`,
        [`UPDATE ${quote(name)} SET _version = _version + 1${time} WHERE _rowid_ = NEW._rowid_`],
      ),
    )
}

function trigger(name: string, event: string, statements: readonly string[]): DerivedObject {
  const body = statements.map((statement) => `\n  ${statement};`).join('')
  return { name, type: 'TRIGGER', sql: `CREATE TRIGGER ${quote(name)} ${event}\nBEGIN${body}\nEND` }
}

// ── Search ──────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The words of the table's texts, without the texts themselves: those are read from the table. The number of a row is
 * the link between the two. A table with text ids has numbers too, which VACUUM keeps where the table has an index, and
 * that of its ids is one (test/storage/search.test.ts would tell).
 */
function searchObjects(table: Table): DerivedObject[] {
  const { name, search = [] } = table
  if (search.length === 0) return []
  const index = quote(searchIndexName(name))
  const columns = search.map(quote)
  const into = `INSERT INTO ${index} (_rowid_, ${columns.join(', ')})`
  const add = `${into} VALUES (NEW._rowid_, ${columns.map((column) => `NEW.${column}`).join(', ')})`
  const outOf = `INSERT INTO ${index} (${index}, _rowid_, ${columns.join(', ')})`
  const remove = `${outOf} VALUES ('delete', OLD._rowid_, ${columns.map((column) => `OLD.${column}`).join(', ')})`
  const isChanged = columns.map((column) => `NEW.${column} IS NOT OLD.${column}`).join(' OR ')
  const options = [`content='${name}'`, `content_rowid='_rowid_'`, `tokenize='unicode61 remove_diacritics 2'`]
  const virtual = `CREATE VIRTUAL TABLE ${index} USING fts5(${[...columns, ...options].join(', ')})`
  const event = (kind: string) => `${searchIndexName(name)}${kind}`
  return [
    { name: searchIndexName(name), type: 'TABLE', sql: virtual },
    trigger(event('insert'), `AFTER INSERT ON ${quote(name)}`, [add]),
    trigger(event('delete'), `AFTER DELETE ON ${quote(name)}`, [remove]),
    trigger(event('update'), `AFTER UPDATE OF ${columns.join(', ')} ON ${quote(name)}\nWHEN ${isChanged}`, [
      remove,
      add,
    ]),
  ]
}

function fillSearch({ name }: Table): string {
  const index = quote(searchIndexName(name))
  return `INSERT INTO ${index} (${index}) VALUES ('rebuild')`
}

function isSearchTable({ type }: DerivedObject): boolean {
  return type === 'TABLE'
}

function isOfSearch({ name }: DerivedObject): boolean {
  return name.startsWith('_hipflask_fts_')
}

/** A name for use in SQL. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
