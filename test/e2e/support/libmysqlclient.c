/* A program over MySQL's libmysqlclient, for what only it says: query attributes, cursors, result sets without metadata, session
   tracking, zstd. Usage: libmysqlclient HOST PORT USER PASSWORD SCHEMA FLAVOUR, FLAVOUR being "plain", "zstd" or "tls". A
   statement that a server refuses is one like any other; what can't go on ends it with exit code 1. */
#include <mysql.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static MYSQL *db;

static void must(bool well, const char *what) {
  if (well) return;
  fprintf(stderr, "%s: %s\n", what, mysql_error(db));
  exit(1);
}

/* Reads all that comes back; an error of the server's is none of ours. */
static void query(const char *text) {
  if (mysql_query(db, text) != 0) {
    must(mysql_errno(db) < 2000, text);
    return;
  }
  do {
    MYSQL_RES *rows = mysql_store_result(db);
    if (rows == NULL) continue;
    while (mysql_fetch_row(rows) != NULL) {
    }
    mysql_free_result(rows);
  } while (mysql_next_result(db) == 0);
}

static void with_attributes(const char *text) {
  static long long number = 77;
  static char word[] = "checkout";
  unsigned long length = sizeof word - 1;
  MYSQL_BIND values[2];
  const char *names[2] = {"trace", "step"};
  memset(values, 0, sizeof values);
  values[0].buffer_type = MYSQL_TYPE_LONGLONG;
  values[0].buffer = &number;
  values[1].buffer_type = MYSQL_TYPE_STRING;
  values[1].buffer = word;
  values[1].buffer_length = length;
  values[1].length = &length;
  must(!mysql_bind_param(db, 2, values, names), "query attributes");
  query(text);
}

/* Rows from a cursor, three at a time. */
static void cursor(int from) {
  static const char text[] = "SELECT id, k, c FROM sbtest1 WHERE id >= ? ORDER BY id LIMIT 10";
  MYSQL_STMT *statement = mysql_stmt_init(db);
  unsigned long kind = CURSOR_TYPE_READ_ONLY, rows = 3;
  MYSQL_BIND value;
  must(mysql_stmt_prepare(statement, text, sizeof text - 1) == 0, text);
  mysql_stmt_attr_set(statement, STMT_ATTR_CURSOR_TYPE, &kind);
  mysql_stmt_attr_set(statement, STMT_ATTR_PREFETCH_ROWS, &rows);
  for (int i = 0; i < 2; i++, from += 5) {
    memset(&value, 0, sizeof value);
    value.buffer_type = MYSQL_TYPE_LONG;
    value.buffer = &from;
    must(!mysql_stmt_bind_named_param(statement, &value, 1, NULL), text);
    must(mysql_stmt_execute(statement) == 0, text);
    int fetched;
    do {
      fetched = mysql_stmt_fetch(statement);
    } while (fetched == 0 || fetched == MYSQL_DATA_TRUNCATED);
    must(fetched == MYSQL_NO_DATA, text);
    mysql_stmt_free_result(statement);
  }
  mysql_stmt_close(statement);
}

int main(int argc, char **argv) {
  bool yes = true;
  if (argc != 7) return 2;
  const char *flavour = argv[6];
  db = mysql_init(NULL);
  unsigned int tls = strcmp(flavour, "tls") == 0 ? SSL_MODE_REQUIRED : SSL_MODE_DISABLED;
  mysql_options(db, MYSQL_OPT_SSL_MODE, &tls);
  mysql_options(db, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &yes);
  mysql_options(db, MYSQL_OPT_OPTIONAL_RESULTSET_METADATA, &yes);
  if (strcmp(flavour, "zstd") == 0) mysql_options(db, MYSQL_OPT_COMPRESSION_ALGORITHMS, "zstd");
  must(mysql_real_connect(db, argv[1], argv[3], argv[4], argv[5], atoi(argv[2]), NULL, CLIENT_MULTI_STATEMENTS) != NULL,
       "connect");
  query("SET session_track_system_variables = '*', session_track_schema = 1, session_track_state_change = 1");
  query("SET session_track_transaction_info = 'CHARACTERISTICS'");
  query("SET @mark = 5, sql_mode = 'ANSI_QUOTES', time_zone = '+02:00'");
  with_attributes("SELECT c FROM sbtest1 WHERE id = 7");
  query("SELECT REPEAT('zstd makes little of this ', 4000)");
  query("START TRANSACTION READ WRITE");
  with_attributes("UPDATE sbtest1 SET k = k + 1 WHERE id = 7");
  query("SELECT k FROM sbtest1 WHERE id = 7 FOR UPDATE");
  query("ROLLBACK");
  query("SET resultset_metadata = NONE");
  query("SELECT id, c FROM sbtest1 WHERE id < 5; SELECT 1, 'two', NULL");
  cursor(20);
  query("SET resultset_metadata = FULL");
  cursor(40);
  query("SELECT nonsense FROM nowhere");
  must(mysql_select_db(db, "sbtest2") == 0, "sbtest2");
  with_attributes("SELECT COUNT(*) FROM sbtest1");
  must(mysql_reset_connection(db) == 0, "reset");
  query("SELECT @mark, DATABASE()");
  must(!mysql_change_user(db, argv[3], argv[4], argv[5]), "change user");
  cursor(60);
  must(mysql_ping(db) == 0, "ping");
  mysql_close(db);
  return 0;
}
