// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA private-key operations of 2048 to 4096 bits (RFC 8017): CRT, blinded, verified before release.
