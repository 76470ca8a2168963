//! A folder is used for as long as its process lives: after its state is taken it knows nothing of it.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::super::{Folder, compare_answers};
use super::rows::{answer, batch, one_shot, row, view};

#[tokio::test]
async fn a_folder_forgets_the_state_that_was_taken() {
    let mut runner = TestRunner::deterministic();
    let rows: Vec<_> = (0..600).map(|_| row().new_tree(&mut runner).unwrap().current()).collect();
    let rows = batch(&rows);
    for sql in ["SELECT k, i, count(*) AS n FROM s GROUP BY k, i", "SELECT i, count(*) AS n FROM s GROUP BY i"] {
        let view = view(sql).await;
        let mut folder = Folder::new(&view).unwrap();
        let mut states = vec![];
        // The second piece has fewer groups than the first had.
        for (from, length) in [(0, 500), (500, 20), (520, 80)] {
            folder.fold(&rows.slice(from, length)).await.unwrap();
            states.extend(folder.take_state().unwrap());
        }
        let answered = answer(&view, &states).await;
        let schema = answered[0].schema();
        let expected = one_shot(sql, &rows).await;
        assert_eq!(compare_answers(&schema, &answered, &expected, view.answer_exactness()).unwrap(), [], "{sql}");
    }
}
