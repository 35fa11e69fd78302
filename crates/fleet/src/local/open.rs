//! Opens the data directory of a local fleet.

use std::{io, sync::Arc};

use backends::{
    embedded::{DataDir, Disk, DiskOptions, SqliteDirectory},
    port::StoreError,
};
use control_plane::store::SqliteStore;

use super::{FleetError, FleetOptions};
use crate::Secrets;

/// Partitions of each topic of a new data directory. More would make smaller batches; fewer would let one busy
/// conversation hold up more of the others.
const PARTITIONS: u32 = 8;

/// What is opened before anything runs.
pub(super) struct Opened {
    pub(super) data: DataDir,
    pub(super) temporary: Option<tempfile::TempDir>,
    pub(super) disk: Arc<Disk>,
    pub(super) directory: SqliteDirectory,
    pub(super) control: SqliteStore,
    pub(super) secrets: Secrets,
}

/// Opens, or makes, everything.
pub(super) async fn open(options: &FleetOptions) -> Result<Opened, FleetError> {
    let (path, temporary) = match &options.data {
        Some(path) => (path.clone(), None),
        None => {
            let made = tempfile::Builder::new().prefix("chatfleet-").tempdir();
            let dir = made.map_err(|source| FleetError::Io { what: "make a temporary directory", source })?;
            (dir.path().join("data"), Some(dir))
        }
    };
    let data = DataDir::open(&path)?;
    let disk_options = DiskOptions { partitions: PARTITIONS, was_clean: data.was_clean() };
    let log_path = data.join("log");
    let opened = tokio::task::spawn_blocking(move || Disk::open(&log_path, disk_options)).await;
    let disk = opened.map_err(|error| StoreError::corrupt("data directory", error))??;
    let directory = SqliteDirectory::open(&data.join("directory.sqlite")).await?;
    let control = SqliteStore::open(&data.join("control.sqlite")).await;
    let control = control.map_err(|error| StoreError::corrupt("control-plane store", error))?;
    let secrets = Secrets::load_or_make(&data.join("secrets.json")).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData => StoreError::corrupt("secrets.json", source).into(),
        _ => FleetError::Io { what: "read secrets.json of the data directory", source },
    })?;
    Ok(Opened { data, temporary, disk, directory, control, secrets })
}
