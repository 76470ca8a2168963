import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Set;
import java.util.TreeSet;

/** JDBC against a server with the tests' pipeline: {@code java -cp postgresql.jar Check.java PORT}. */
public class Check {
    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/dovetail?user=dovetail";
        try (Connection connection = DriverManager.getConnection(url)) {
            tables(connection);
            prepared(connection);
            fetched(connection);
            errors(connection);
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
