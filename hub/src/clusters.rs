//! Which clusters there are: the folder of kubeconfigs.
pub mod folder;
