import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** JDBC against a server with the tests' pipeline: {@code java -cp postgresql.jar Check.java PORT}. */
public class Check {
    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/dovetail?user=dovetail&socketTimeout=60";
        try (Connection connection = DriverManager.getConnection(url)) {
            tables(connection);
            prepared(connection);
            fetched(connection);
            errors(connection);
            metadata(connection);
            savepoints(connection);
            copied(connection);
        }
        // Text only, then binary from the first time on.
        for (String threshold : new String[] {"0", "-1"}) {
            try (Connection connection = DriverManager.getConnection(url + "&prepareThreshold=" + threshold)) {
                types(connection);
                parameters(connection);
            }
        }
        System.out.println("jdbc: ok");
    }

    static void tables(Connection connection) throws SQLException {
        DatabaseMetaData metadata = connection.getMetaData();
        equal(metadata.getDatabaseMajorVersion(), 16);
        Set<String> views = new TreeSet<>();
        try (ResultSet rows = metadata.getTables(null, "public", "%", new String[] {"VIEW", "TABLE"})) {
            while (rows.next()) views.add(rows.getString("TABLE_NAME"));
        }
        if (!views.contains("by_page")) throw new AssertionError("views: " + views);
        Set<String> schemas = new TreeSet<>();
        try (ResultSet rows = metadata.getSchemas()) {
            while (rows.next()) schemas.add(rows.getString(1));
        }
        if (!schemas.contains("sys")) throw new AssertionError("schemas: " + schemas);
        StringBuilder columns = new StringBuilder();
        try (ResultSet rows = metadata.getColumns(null, "public", "by_page", "%")) {
            while (rows.next()) columns.append(rows.getString("COLUMN_NAME")).append(' ').append(rows.getString("TYPE_NAME")).append(", ");
        }
        equal(columns.toString(), "page text, clicks int8, total numeric, ");
    }

    static void prepared(Connection connection) throws SQLException {
        String sql = "SELECT page, total FROM by_page WHERE clicks >= ? AND page <> ? ORDER BY page";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            // More often than the driver's threshold for statements and binary values on the server.
            for (int i = 0; i < 8; i++) {
                statement.setLong(1, 1);
                statement.setString(2, "/b");
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    equal(rows.getString(1), "/a");
                    equal(rows.getLong(2), 310L);
                }
            }
            equal(statement.getMetaData().getColumnTypeName(2), "numeric");
        }
    }

    static void fetched(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement("SELECT x FROM generate_series(1, 2500) t(x)")) {
            statement.setFetchSize(1000);
            long sum = 0;
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) sum += rows.getLong(1);
            }
            equal(sum, 2500L * 2501 / 2);
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void types(Connection connection) throws SQLException {
        String sql = "SELECT arrow_cast(-5, 'Int8') AS i, arrow_cast('inf', 'Float64') AS f, CAST(-1.50 AS DECIMAL(12, 2)) AS n, "
            + "TIMESTAMP '2026-03-01 12:34:56.5' AS ts, DATE '2026-03-01' AS d, ARRAY['', 'NULL', NULL] AS texts, "
            + "ARRAY[TIMESTAMP '2026-03-01 12:34:56'] AS times, named_struct('a', 1, 'b', NULL) AS s, CAST(NULL AS INT) AS nothing";
        try (PreparedStatement statement = connection.prepareStatement(sql); ResultSet rows = statement.executeQuery()) {
            rows.next();
            equal(rows.getInt(1), -5);
            equal(rows.getShort(1), (short) -5);
            equal(rows.getDouble(2), Double.POSITIVE_INFINITY);
            equal(rows.getBigDecimal(3), new BigDecimal("-1.50"));
            equal(rows.getMetaData().getScale(3), 2);
            equal(rows.getTimestamp(4), Timestamp.valueOf("2026-03-01 12:34:56.5"));
            equal(rows.getDate(5).toString(), "2026-03-01");
            equal(Arrays.asList((Object[]) rows.getArray(6).getArray()), Arrays.asList("", "NULL", null));
            equal(((Object[]) rows.getArray(7).getArray())[0], Timestamp.valueOf("2026-03-01 12:34:56"));
            equal(rows.getString(8), "(1,)");
            equal(rows.getInt(9), 0);
            equal(rows.wasNull(), true);
        }
    }

    static void parameters(Connection connection) throws SQLException {
        String row = "(VALUES ('a', CAST(1.50 AS DECIMAL(12, 2)), arrow_cast(7, 'Int8'), TIMESTAMP '2026-03-01 12:00:00', DATE '2026-03-01')) AS r(s, n, i, ts, d)";
        Object[][] conditions = {
            {"n = ?", 1.5, 1}, {"n > ?", 1, 1}, {"n = ?", new BigDecimal("1.5"), 1}, {"n = ?", new BigDecimal("1.501"), 0},
            {"i = ?", 7, 1}, {"i = ?", 7000L, 0}, {"i < ?", 7.5, 1}, {"i = ?", 7.5, 0}, {"s = ?", "a", 1},
            {"ts = ?", Timestamp.valueOf("2026-03-01 12:00:00"), 1}, {"ts > ?", LocalDateTime.of(2026, 3, 1, 0, 0), 1},
            {"d = ?", Date.valueOf("2026-03-01"), 1}, {"d = ?", LocalDate.of(2026, 3, 1), 1},
            {"s = ANY(?)", connection.createArrayOf("text", new String[] {"a", ""}), 1},
            {"s = ANY(?)", connection.createArrayOf("text", new String[] {"NULL"}), 0},
            {"ts > TIMESTAMP '2026-03-02' - CAST(? AS INTERVAL)", "1 day", 1},
        };
        for (Object[] condition : conditions) {
            String sql = "SELECT count(*) FROM " + row + " WHERE " + condition[0];
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                statement.setObject(1, condition[1]);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    equal(condition[0] + " " + condition[1] + " " + rows.getInt(1), condition[0] + " " + condition[1] + " " + condition[2]);
                }
            }
        }
        try (PreparedStatement statement = connection.prepareStatement("SELECT page FROM by_page ORDER BY page LIMIT ? OFFSET ?")) {
            statement.setInt(1, 1);
            statement.setInt(2, 1);
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                equal(rows.getString(1), "/b");
            }
        }
    }

    interface Call {
        ResultSet get() throws SQLException;
    }

    static int count(Call call) throws SQLException {
        int count = 0;
        try (ResultSet rows = call.get()) {
            int width = rows.getMetaData().getColumnCount();
            while (rows.next()) {
                for (int i = 1; i <= width; i++) rows.getObject(i);
                count++;
            }
        }
        return count;
    }

    /** What there is none of is empty, and nothing fails. */
    static void metadata(Connection connection) throws SQLException {
        DatabaseMetaData metadata = connection.getMetaData();
        equal(count(() -> metadata.getPrimaryKeys(null, "public", "by_page")), 0);
        equal(count(() -> metadata.getIndexInfo(null, "public", "by_page", false, true)), 0);
        equal(count(() -> metadata.getImportedKeys(null, "public", "by_page")), 0);
        equal(count(() -> metadata.getExportedKeys(null, "public", "by_page")), 0);
        equal(count(() -> metadata.getCrossReference(null, "public", "by_page", null, "public", "by_user")), 0);
        equal(count(() -> metadata.getBestRowIdentifier(null, "public", "by_page", 0, true)), 0);
        equal(count(() -> metadata.getFunctions(null, null, "%")), 0);
        equal(count(() -> metadata.getFunctionColumns(null, null, "%", "%")), 0);
        equal(count(() -> metadata.getProcedures(null, null, "%")), 0);
        equal(count(() -> metadata.getProcedureColumns(null, null, "%", "%")), 0);
        equal(count(() -> metadata.getUDTs(null, null, "%", null)), 0);
        count(() -> metadata.getTablePrivileges(null, "sys", "views"));
        count(() -> metadata.getColumnPrivileges(null, "sys", "views", "%"));
        count(() -> metadata.getVersionColumns(null, "public", "by_page"));
        Set<String> types = new TreeSet<>();
        try (ResultSet rows = metadata.getTypeInfo()) {
            while (rows.next()) types.add(rows.getString("TYPE_NAME"));
        }
        for (String type : new String[] {"int2", "int8", "numeric", "text", "timestamptz"}) {
            if (!types.contains(type)) throw new AssertionError(type + " is not among " + types);
        }
        try (ResultSet rows = metadata.getTablePrivileges(null, "sys", "views")) {
            while (rows.next()) equal(rows.getString("PRIVILEGE"), "SELECT");
        }
    }

    static void savepoints(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.execute("SELECT 1");
            Savepoint savepoint = connection.setSavepoint("s");
            try {
                statement.execute("SELECT 1/0");
                throw new AssertionError("a division by zero was answered");
            } catch (SQLException error) {
                equal(error.getSQLState(), "22012");
            }
            connection.rollback(savepoint);
            statement.execute("SELECT 1");
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void copied(Connection connection) throws Exception {
        StringWriter out = new StringWriter();
        CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
        equal(copy.copyOut("COPY (SELECT page, clicks FROM by_page ORDER BY page) TO STDOUT WITH (FORMAT csv)", out), 2L);
        equal(out.toString(), "/a,2\n/b,1\n");
    }

    static void errors(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("DELETE FROM by_page")) {
            statement.execute();
            throw new AssertionError("a write was accepted");
        } catch (SQLException error) {
            equal(error.getSQLState(), "25006");
        }
        equal(connection.isValid(5), true);
    }

    static void equal(Object found, Object expected) {
        if (!found.equals(expected)) throw new AssertionError("found " + found + ", expected " + expected);
    }
}
